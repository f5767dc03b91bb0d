/**
 * Every declaration of the native addon, the meaning of its statuses, and the one place that loads
 * it. The addon decides nothing: it loads a backend, copies inputs in, computes off the event loop
 * and copies outputs out. Only a prover process (`server/prover/child-main.ts`) opens a backend;
 * the service uses the addon for locks and to confine itself.
 */
import { createRequire } from "node:module";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A backend's own description. Sizes are bytes; 0 in a `…Max` field means no limit of its own. */
export interface BackendDescription {
  backend: string;
  scheme: string;
  revision: string;
  /** Bit set of `lean_prover_kind`. */
  kinds: number;
  publicKeyBytes: number;
  signatureBytes: number;
  proofBytesMax: number;
  childrenMax: number;
  rawsMax: number;
  /** Bit n is set when `logInvRate` n is offered; 0 means one rate only, the default. */
  rates: number;
  /** True when a proof verifies only against its keys in the order that the prover was given. */
  keyOrderMatters: boolean;
}

/** What a validator signs. */
export interface SignedMessage {
  /** `hash_tree_root(AttestationData)`, 32 bytes. */
  root: Uint8Array;
  /** `AttestationData.slot`, which is also the leaf index; a u32. */
  slot: number;
}

/** A proof and the packed keys that it must attest: exactly these. */
export interface AggregateClaim {
  proof: Uint8Array;
  keys: Uint8Array;
}

/** The result for one raw signature. `wrong_leaf`: its leaf index is not the message's slot. */
export type SignatureVerdict = "ok" | "bad_signature" | "wrong_leaf";

/** One open backend. Promises reject with an `Error` whose `status` is a `lean_prover_status`. */
export interface NativeProver {
  describe(): BackendDescription;
  /** Resolves to one `lean_prover_status` for each key, in the order of the keys. */
  verifySignatures(m: SignedMessage, keys: Uint8Array, signatures: Uint8Array): Promise<Uint8Array>;
  /** Resolves to true when the proof verifies and attests exactly the keys. */
  verifyAggregate(m: SignedMessage, claim: AggregateClaim): Promise<boolean>;
  /** Resolves to the proof. `logInvRate` 0 means the library's default. */
  aggregate(
    m: SignedMessage,
    keys: Uint8Array,
    signatures: Uint8Array,
    children: readonly AggregateClaim[],
    logInvRate: number,
  ): Promise<Uint8Array>;
  /** Closes the backend once no call runs. Idempotent; the other methods throw afterwards. */
  close(): void;
}

export interface Addon {
  /**
   * Loads the library and sets the prover up, which takes seconds. Rejects with an `Error` whose
   * `status` is `unsupported` when the library itself cannot be used: it lacks a function, has
   * another ABI version or an incomplete description. Any other failure is `unavailable`.
   */
  open(libraryPath: string, config: string): Promise<NativeProver>;
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
  /** Linux: pins every thread of this process to the cores; an empty list changes nothing. */
  setAffinity(cores: readonly number[]): void;
}

const ADDON_FILE = "build/Release/lean_aggregator.node";

/** Loads the compiled addon. Throws when it is not built; the error lists the paths tried. */
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

/** Numbers of `lean_prover_status` in `native/include/lean_prover.h`. */
const status = {
  ok: 0,
  invalidArgument: 1,
  badSignature: 2,
  badAggregate: 3,
  unsupported: 4,
} as const;
const refusals: readonly number[] = [
  status.invalidArgument,
  status.badSignature,
  status.badAggregate,
  status.unsupported,
];

/** The verdict of one byte of `verifySignatures`. Throws for any other status. */
export function verdictOf(byte: number): SignatureVerdict {
  switch (byte) {
    case status.ok:
      return "ok";
    case status.invalidArgument: // the ABI's status for a leaf index that is not the slot
      return "wrong_leaf";
    case status.badSignature:
      return "bad_signature";
    default:
      throw new Error(`the backend returned status ${byte} for a signature, expected 0, 1 or 2`);
  }
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

/** `refused` when the error's status says that the input is at fault, else `internal`. */
export function failureKindOf(error: unknown): "refused" | "internal" {
  if (typeof error !== "object" || error === null || !("status" in error)) return "internal";
  return refusals.some((refusal) => refusal === error.status) ? "refused" : "internal";
}
