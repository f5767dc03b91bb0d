/**
 * The work on one attestation data, as the schedule and the prover see it: structure checked, bytes
 * copied out of the request, signatures and proofs not verified yet.
 */
import type { AttestationData } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { SignedMessage } from "../../native/addon.js";

export type LeftOutReason =
  "bad_signature" | "wrong_leaf" | "unknown_key" | "bad_child" | "covered" | "shed";

/** An input that is not in the proof. */
export interface LeftOut {
  reason: LeftOutReason;
  input: { kind: "raw"; validatorIndex: number } | { kind: "child"; childIndex: number };
  /** SHA-256 of the input's bytes. */
  digest: Uint8Array;
}

/** Raw signatures, packed in the order of their keys, so that equal work has equal bytes. */
export interface Raws {
  validators: readonly number[];
  keys: Uint8Array;
  signatures: Uint8Array;
}

export interface ChildWork {
  /** Index of the child in the group of the request. */
  index: number;
  validators: readonly number[];
  /** Public keys, packed in the order of `validators`. */
  keys: Uint8Array;
  proof: Uint8Array;
}

export interface GroupWork {
  message: SignedMessage;
  raws: Raws;
  children: readonly ChildWork[];
  /** Inputs that decoding left out. */
  leftOut: readonly LeftOut[];
  logInvRate: number;
}

/** One group of a decoded snapshot. */
export interface DecodedGroup {
  data: AttestationData;
  work: GroupWork;
  /** True beyond `groupsMax`: the group ends `not_started: limit`, and has no inputs here. */
  isOverLimit: boolean;
  /** SHA-256 of everything that the prover sees: equal for equal work of any node. */
  digest: string;
}

/** Why a running attempt was killed; its group ends `stopped` with this reason. */
export type StopReason = "fence" | "cancelled" | "preempted" | "draining";

/** How an attempt ended, before the session compares it with deadline and fence. */
export type ProofResult =
  | {
      kind: "proved";
      proof: Uint8Array;
      validators: readonly number[];
      childrenFolded: readonly number[];
      leftOut: readonly LeftOut[];
      proveMs: number;
    }
  | { kind: "nothing_to_prove"; leftOut: readonly LeftOut[] }
  | { kind: "rejected"; leftOut: readonly LeftOut[] }
  | { kind: "not_started"; reason: "deadline" | "predicted_miss"; leftOut: readonly LeftOut[] }
  /** `deaths`: provers that died during the attempt without our killing them. */
  | { kind: "failed"; reason: "prover_died" | "prover_error"; detail: string; deaths: number };
