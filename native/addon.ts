/**
 * Every declaration of the native addon, the meaning of its statuses, and the one place that loads
 * it. The addon decides nothing: it loads a backend, copies inputs in, computes off the event loop
 * and copies outputs out. Only a prover process (`server/prover/child-main.ts`) opens a backend;
 * the service uses the addon for locks, to confine itself, and to report to its service manager.
 */
import { createRequire } from "node:module";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { setupCommand } from "./setup-command.js";

/** What jobs of one kind may have: `lp_limits`. 0 means no limit of the library's own. */
export interface BackendLimits {
  rawsMax: number;
  rawsBesideMax: number;
  childrenMax: number;
  /** Bit n is set when n children are taken at once; 0: any number up to `childrenMax`. */
  arities: number;
  claimsMax: number;
  keysMax: number;
}

/** What a backend says of itself: `lp_about`. Sizes are bytes. */
export interface BackendDescription {
  backend: string;
  scheme: string;
  revision: string;
  /** Bit set of `lp_kind`. */
  kinds: number;
  /** Bit set of `lp_can`. */
  can: number;
  publicKeyBytes: number;
  signatureBytes: number;
  proofBytesMax: number;
  /** Bit n is set when `logInvRate` n is offered; 0 means one rate only, the default. */
  rates: number;
  /** The rate that `logInvRate` 0 stands for; 0: not said. */
  rateDefault: number;
  /** Time of `open` on two cores; 0: not said. */
  setupMs: number;
  fold: BackendLimits;
  merge: BackendLimits;
  /** Resident once open, and during the largest job; 0: not said. */
  idleBytes: number;
  peakBytes: number;
}

/** What a validator signs. */
export interface SignedMessage {
  /** `hash_tree_root(AttestationData)`, 32 bytes. */
  root: Uint8Array;
  /** `AttestationData.slot`, which is also the leaf index; a u32. */
  slot: number;
}

/** The result for one raw signature. `wrong_leaf`: its leaf index is not the message's slot. */
export type SignatureVerdict = "ok" | "bad_signature" | "wrong_leaf";

/** That the holders of these packed keys have signed the message. */
export interface KeyClaim extends SignedMessage {
  keys: Uint8Array;
}

/** Raw signatures of one message, packed in the order of the keys. */
export interface SignedRaws extends KeyClaim {
  signatures: Uint8Array;
}

/** `fold`: inputs of one message into one proof. `merge`: several messages into one proof. */
export type JobKind = "fold" | "merge";

/** A proof, the kind of job that made it, and the claims that it must attest: exactly these. */
export interface ClaimedProof {
  kind: JobKind;
  bytes: Uint8Array;
  claims: readonly KeyClaim[];
}

/** One proof to make, of exactly the claims `wanted`, in this order. */
export interface ProofJob {
  kind: JobKind;
  /** 0 means the library's default. */
  logInvRate: number;
  raws: readonly SignedRaws[];
  children: readonly ClaimedProof[];
  wanted: readonly KeyClaim[];
}

/** One open backend. Promises reject with an `Error` whose `status` is an `lp_status`. */
export interface NativeProver {
  describe(): BackendDescription;
  /** Resolves to one `lp_verdict` for each key, in the order of the keys. */
  verifySignatures(raws: SignedRaws): Promise<Uint8Array>;
  /** Resolves to true when the proof verifies and attests exactly its claims. */
  verify(proof: ClaimedProof): Promise<boolean>;
  /** Resolves to the proof's bytes. */
  prove(job: ProofJob): Promise<Uint8Array>;
  /** Closes the backend once no call runs. Idempotent; the other methods throw afterwards. */
  close(): void;
}

/** What a library is given when it is opened: `lp_options`. */
export interface OpenOptions {
  config: string;
  threads: number;
  cacheFolder?: string | undefined;
}

export interface Addon {
  /**
   * Loads the library and sets the prover up, which takes seconds. Rejects with an `Error` whose
   * `status` is `unsupported` when the library itself cannot be used: it lacks a function, has
   * another ABI version or an incomplete description. Any other failure is `unavailable`.
   * `threads` 0: one for each core that this process may use. `cacheFolder` undefined: the library
   * is given none. Lines of the library's log go to standard error, marked; see
   * `server/prover/child-stderr.ts`.
   */
  open(libraryPath: string, options: OpenOptions): Promise<NativeProver>;
  /** Linux: delivers SIGKILL to this process when its parent dies. Elsewhere no effect. */
  dieWithParent(): void;
  /**
   * Takes an exclusive lock on the file and returns its descriptor; -1 when another process holds
   * it. Makes the file if it is missing, and opens another user's file to read where it may not be
   * written to. Throws for a link or anything else that is not a regular file. The lock lasts as
   * long as the descriptor is open here or in a child that inherited it.
   */
  lockFile(path: string): number;
  /**
   * Lowers a limit of this process, until it ends, to `most`: the bytes of a core dump, the open
   * descriptors, or the bytes of a file that it writes. A limit that is lower already stays.
   */
  limitResource(resource: "core" | "files" | "fileBytes", most: number): void;
  /**
   * Linux: children inherit only descriptors that are passed to them. Node ensures it elsewhere.
   */
  hideDescriptors(): void;
  /** Linux: programs that this process executes from now on gain no privileges. */
  forbidNewPrivileges(): void;
  /** Linux: no core dump, and only root can inspect or trace this process. */
  forbidInspection(): void;
  /**
   * Sends the text as one datagram to the Unix socket at `path`; `@` begins an abstract name. Never
   * waits. Throws when nobody listens there, or the receiver has no room.
   */
  sendDatagram(path: string, text: string): void;
  /** Linux: pins every thread of this process to the cores; an empty list changes nothing. */
  setAffinity(cores: readonly number[]): void;
}

/** Where the addon is in the package: built in a checkout, or carried for this platform. */
const ADDON_FILES = [
  "build/Release/lean_aggregator.node",
  `prebuilds/${process.platform}-${process.arch}/lean_aggregator.node`,
];

/** Loads the compiled addon. Throws when it is missing; the error lists the paths tried. */
export function loadAddon(): Addon {
  const roots = ["..", "../.."].map((up) => fileURLToPath(new URL(up, import.meta.url)));
  const candidates = roots.flatMap((root) =>
    ADDON_FILES.map((file) => `${root.replace(/\/$/, "")}/${file}`),
  );
  const path = candidates.find((candidate) => existsSync(candidate));
  if (path === undefined) {
    const root = roots.find((each) => existsSync(`${each}/package.json`)) ?? "";
    const looked = `looked for ${candidates.join(" and ")}`;
    throw new Error(`native addon not built: ${looked}; run '${setupCommand(root)}'`);
  }
  return createRequire(import.meta.url)(path) as Addon;
}

/** Numbers of `lp_status` in `native/include/lean_prover.h`. */
const status = {
  ok: 0,
  invalid: 1,
  badSignature: 2,
  badProof: 3,
  unsupported: 4,
  noMemory: 7,
} as const;
const refusals: readonly number[] = [
  status.invalid,
  status.badSignature,
  status.badProof,
  status.unsupported,
];

/** The verdict of one byte of `verifySignatures`, an `lp_verdict`. Throws for any other number. */
export function verdictOf(byte: number): SignatureVerdict {
  const verdict = (["ok", "bad_signature", "wrong_leaf"] as const)[byte];
  if (verdict !== undefined) return verdict;
  throw new Error(`the backend returned verdict ${byte} for a signature, expected 0, 1 or 2`);
}

/** True when `Addon.open` rejected because the library itself cannot be used; see there. */
export function isUnusableLibrary(error: unknown): boolean {
  return (
    typeof error === "object" &&
    error !== null &&
    "status" in error &&
    error.status === status.unsupported
  );
}

/**
 * `refused` when the error's status says that the input is at fault, `memory` when it says that memory
 * ran out, else `internal`.
 */
export function failureKindOf(error: unknown): "refused" | "memory" | "internal" {
  if (typeof error !== "object" || error === null || !("status" in error)) return "internal";
  if (error.status === status.noMemory) return "memory";
  return refusals.some((refusal) => refusal === error.status) ? "refused" : "internal";
}
