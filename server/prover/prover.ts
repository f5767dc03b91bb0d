/**
 * The contract of a prover: verify, prove, end. `forked-prover.ts` implements it with a child
 * process, `fake.ts` with SHA-256 in place of proofs. Both check packed sizes by functions below.
 */
import type {
  ClaimedProof,
  ProofJob,
  SignatureVerdict,
  SignedMessage,
  SignedRaws,
} from "../../native/addon.js";
import { concat } from "../bytes.js";
import type { ProverDescription } from "../work/prover-description.js";

export type {
  ClaimedProof,
  KeyClaim,
  ProofJob,
  SignatureVerdict,
  SignedMessage,
  SignedRaws,
} from "../../native/addon.js";

/** A proof of one message, and the packed keys that it must attest: exactly these. */
export interface FoldClaim {
  proof: Uint8Array;
  keys: Uint8Array;
}

/** The inputs of a fold. Keys and signatures are packed without gaps, in the same order. */
export interface FoldInputs {
  message: SignedMessage;
  keys: Uint8Array;
  signatures: Uint8Array;
  children: readonly FoldClaim[];
  /** log2 of the inverse rate; 0 means the library's default. */
  logInvRate: number;
}

/**
 * How a prover process ended. `killed_for_memory`: the kernel killed it because memory ran out, or its library
 * had too little. `died`: it ended by itself, something outside the service killed it, or its library failed.
 * `start_failed`: it could not be set up. `refused`: its library cannot be used, however often it is set up.
 */
export interface ProverExit {
  cause: "killed_by_us" | "killed_for_memory" | "died" | "start_failed" | "refused";
  /** Explanation for people. */
  detail: string;
}

/**
 * One prover, from the start of its setup. Promises reject with `ProverError`: of kind `died` when
 * the process ends before it answers. At most one `prove` runs at a time; verifications may run
 * beside it.
 */
export interface Prover {
  /** Resolves after setup, which takes seconds. Rejects with `ProverError("start_failed")`. */
  readonly ready: Promise<ProverDescription>;
  /** Available once `ready` has resolved; throws before. */
  readonly description: ProverDescription;
  /** Process id, for logs; undefined for the fake. */
  readonly pid: number | undefined;
  /** Resolves to one verdict for each key, in the order of the keys. Refuses more than `rawsMax`. */
  verifySignatures(raws: SignedRaws): Promise<SignatureVerdict[]>;
  /** Resolves to true when the proof verifies and attests exactly its claims. */
  verify(proof: ClaimedProof): Promise<boolean>;
  /** Resolves to the bytes of the proof, of exactly the claims `wanted`. */
  prove(job: ProofJob): Promise<Uint8Array>;
  /** Resident memory in bytes, as the process last reported it; 0 before the first report. */
  residentBytes(): number;
  /**
   * Peak resident memory in bytes of the last proof, as the process last reported it, which is right
   * before the proof's answer; 0 where it is not known.
   */
  peakBytes(): number;
  /**
   * The instant since which the process counts as silent, in milliseconds of the service's
   * monotonic clock: its last message, but never later than the start of a running verification.
   */
  heardAtMs(): number;
  /** Sends SIGKILL, during setup too. `exited` settles once the process is gone. */
  kill(): void;
  /** Resolves once the process is gone; never rejects. */
  readonly exited: Promise<ProverExit>;
}

/**
 * Every error of a prover. `died`: its process ended before the answer. `start_failed`: its setup
 * failed. `refused`: the input is at fault. `internal`: the prover is at fault.
 */
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

/** A proof that a fold has made, with its claim. */
export function foldedProof(message: SignedMessage, { proof, keys }: FoldClaim): ClaimedProof {
  return { kind: "fold", bytes: proof, claims: [{ ...message, keys }] };
}

/** The fold of these inputs. @param wanted the packed keys that it must attest, in this order */
export function foldJob(
  { message, keys, signatures, children, logInvRate }: FoldInputs,
  wanted: Uint8Array,
): ProofJob {
  return {
    kind: "fold",
    logInvRate,
    raws: keys.length === 0 ? [] : [{ ...message, keys, signatures }],
    children: children.map((child) => foldedProof(message, child)),
    wanted: [{ ...message, keys: wanted }],
  };
}

/** The fold of these inputs that attests the keys of all of them. */
export function foldOfAll(
  description: Pick<ProverDescription, "publicKeyBytes">,
  inputs: FoldInputs,
): ProofJob {
  return foldJob(inputs, keysOfAll(description, inputs));
}

/** The keys of all inputs, each once, in the order in which they come first. */
function keysOfAll(
  { publicKeyBytes }: Pick<ProverDescription, "publicKeyBytes">,
  { keys, children }: Pick<FoldInputs, "keys" | "children">,
): Uint8Array {
  const all = new Map<string, Uint8Array>();
  for (const packed of [keys, ...children.map((child) => child.keys)]) {
    for (let at = 0; at < packed.length; at += publicKeyBytes) {
      const key = packed.subarray(at, at + publicKeyBytes);
      all.set(Buffer.from(key).toString("latin1"), key);
    }
  }
  return concat([...all.values()]);
}

/** Number of keys packed in `keys`. Throws `ProverError("refused")` when the last is incomplete. */
export function keyCountOf(description: ProverDescription, keys: Uint8Array): number {
  const { publicKeyBytes } = description;
  const count = keys.length / publicKeyBytes;
  if (Number.isInteger(count)) return count;
  throw new ProverError(
    "refused",
    `keys: ${keys.length} bytes are not a multiple of the key size, ${publicKeyBytes}`,
  );
}

/** Number of signers. Throws `ProverError("refused")` unless each key has one signature. */
export function signerCountOf(
  description: ProverDescription,
  { keys, signatures }: Pick<SignedRaws, "keys" | "signatures">,
): number {
  const count = keyCountOf(description, keys);
  const bytes = count * description.signatureBytes;
  if (signatures.length === bytes) return count;
  throw new ProverError(
    "refused",
    `signatures: ${signatures.length} bytes, but ${count} keys need ${bytes} bytes`,
  );
}
