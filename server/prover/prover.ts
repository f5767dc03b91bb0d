/**
 * What the schedule sees of a prover process: verify, prove, die.
 * Implemented by `process-prover.ts` (the real one, in a child process) and `fake.ts` (simulation).
 */
import type { AggregateClaim, BackendDescription, SignedMessage } from "../../native/addon.js";

export type { AggregateClaim, SignedMessage } from "../../native/addon.js";

/** A backend's own description, and whether its results are only simulated. */
export interface ProverDescription extends BackendDescription {
  fake: boolean;
}

/** One proof's inputs; keys and signatures are packed in the same order. */
export interface ProveJob {
  message: SignedMessage;
  keys: Uint8Array;
  signatures: Uint8Array;
  children: readonly AggregateClaim[];
  /** log2 of the inverse rate; 0 for the prover's default. */
  logInvRate: number;
}

/** Verdict on one raw signature. */
export type SignatureVerdict = "ok" | "bad_signature" | "wrong_leaf";

/**
 * Why a prover process ended: `killed_for_memory` when the kernel did it, `died` when it ended by
 * itself or was killed by somebody else.
 */
export interface ProverExit {
  cause: "killed_by_us" | "killed_for_memory" | "died" | "start_failed";
  detail: string;
}

/**
 * One prover, from the moment its setup begins. Promises reject with `ProverError` when the prover
 * refuses, and with `ProverError("died")` when its process ends first. One `aggregate` at a time;
 * verification may run meanwhile.
 */
export interface Prover {
  /** Resolves once set up (seconds); rejects with `ProverError("start_failed")`. */
  readonly ready: Promise<ProverDescription>;
  /** Only once `ready` has resolved; throws before. */
  readonly description: ProverDescription;
  /** Process id, for logs; undefined for the fake. */
  readonly pid: number | undefined;
  verifySignatures(
    message: SignedMessage,
    keys: Uint8Array,
    signatures: Uint8Array,
  ): Promise<SignatureVerdict[]>;
  /** True when the proof verifies and attests exactly the claim's keys. */
  verifyAggregate(message: SignedMessage, claim: AggregateClaim): Promise<boolean>;
  aggregate(job: ProveJob): Promise<Uint8Array>;
  /** Resident set in bytes as the prover last reported it; 0 until then. */
  residentBytes(): number;
  /** When it last gave a sign of life, on the monotonic clock of the service; to hang is none. */
  heardAtMs(): number;
  /** SIGKILL, also during setup. `exited` settles once the process has really ended. */
  kill(): void;
  readonly exited: Promise<ProverExit>;
}

/** Starts a prover on a device; returns at once, and `ready` tells when it is set up. */
export type StartProver = (deviceId: string) => Prover;

/** Every way a prover's answer can be an error. */
export class ProverError extends Error {
  override readonly name = "ProverError";
  constructor(
    readonly kind: "died" | "start_failed" | "refused" | "internal",
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}
