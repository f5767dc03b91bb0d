/**
 * Every declaration of the native addon, and the one place that loads it.
 * The addon holds no policy: it loads a backend, copies inputs in, computes off the event loop,
 * and copies outputs out. Its backend is opened by the prover process (`server/prover/child-main.ts`)
 * only; the service uses it for locks and to confine itself.
 */
import { createRequire } from "node:module";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** What a backend says of itself; sizes in bytes, 0 for "no limit of its own". */
export interface BackendDescription {
  backend: string;
  scheme: string;
  revision: string;
  kinds: number;
  publicKeyBytes: number;
  signatureBytes: number;
  proofBytesMax: number;
  childrenMax: number;
  rawsMax: number;
  keyOrderMatters: boolean;
}

/** One message, the keys that signed it and their signatures, both packed in the same order. */
export interface SignedMessage {
  /** `hash_tree_root(AttestationData)`, 32 bytes. */
  root: Uint8Array;
  /** `AttestationData.slot`, the leaf index, u32. */
  slot: number;
}

/** A proof and the packed keys it must attest: exactly these. */
export interface AggregateClaim {
  proof: Uint8Array;
  keys: Uint8Array;
}

export type SignatureVerdict = "ok" | "bad_signature" | "wrong_leaf";

/** One backend in this process. Each promise rejects with a `NativeError`. */
export interface NativeProver {
  describe(): BackendDescription;
  /** Verdicts as numbers of `lean_prover_status`, in the order of the keys. */
  verifySignatures(m: SignedMessage, keys: Uint8Array, signatures: Uint8Array): Promise<Uint8Array>;
  /** True when the proof verifies and attests exactly the keys. */
  verifyAggregate(m: SignedMessage, claim: AggregateClaim): Promise<boolean>;
  aggregate(
    m: SignedMessage,
    keys: Uint8Array,
    signatures: Uint8Array,
    children: readonly AggregateClaim[],
    logInvRate: number,
  ): Promise<Uint8Array>;
  /** Idempotent; later calls throw. */
  close(): void;
}

export interface Addon {
  /** Loads the library and sets the prover up off the event loop (seconds). */
  open(libraryPath: string, config: string): Promise<NativeProver>;
  /** Linux: deliver SIGKILL to this process when its parent dies. No effect elsewhere. */
  dieWithParent(): void;
  /**
   * Takes an exclusive lock on the file for as long as the descriptor is open here or in a child
   * that it is passed to; -1 when another process holds it.
   */
  lockFile(path: string): number;
  /**
   * Lowers a limit of this process, for good: bytes of a core dump, open descriptors, bytes of a
   * file that it writes. A tighter one stays.
   */
  limitResource(resource: "core" | "files" | "fileBytes", most: number): void;
  /** Linux: children inherit no descriptor that they are not given. Elsewhere Node sees to it. */
  hideDescriptors(): void;
  /** Linux: what this process executes from now on gains no privileges by it. */
  forbidNewPrivileges(): void;
  /** Linux: no core dump, and only root may look into this process or trace it. */
  forbidInspection(): void;
  /** Pins this process to the cores; an empty list changes nothing. */
  setAffinity(cores: readonly number[]): void;
}

const ADDON_FILE = "build/Release/lean_aggregator.node";

/** Loads the compiled addon; an error says where it was looked for and what to do. */
export function loadAddon(): Addon {
  const roots = ["..", "../.."].map((up) => fileURLToPath(new URL(up, import.meta.url)));
  const candidates = roots.map((root) => `${root.replace(/\/$/, "")}/${ADDON_FILE}`);
  const path = candidates.find((candidate) => existsSync(candidate));
  if (path === undefined) {
    throw new Error(
      `native addon not built: looked for ${candidates.join(" and ")}; run 'make setup'`,
    );
  }
  return createRequire(import.meta.url)(path) as Addon;
}
