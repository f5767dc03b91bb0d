/**
 * The work of one group, as the schedule and the prover see it. Its structure is checked and its bytes
 * are copied out of the request; signatures and proofs are not verified yet.
 */
import type { AttestationData, Claim } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { KeyClaim, SignedMessage } from "../../native/addon.js";
import type { LeftOutReason } from "../reasons.js";

/** An input that is not in the proof. */
export interface LeftOut {
  reason: LeftOutReason;
  input:
    | { kind: "raw"; validatorIndex: number }
    | { kind: "child"; childIndex: number }
    /** The component of a merge with the bad input. */
    | { kind: "component"; componentIndex: number };
  /** SHA-256 of the input's bytes. */
  digest: Uint8Array;
}

/** Raw signatures, sorted by public key, so that equal work has equal bytes. */
export interface Raws {
  /** Validator indices. */
  validators: readonly number[];
  /** Public keys, concatenated in the order of `validators`. */
  keys: Uint8Array;
  /** Signatures, concatenated in the order of `validators`. */
  signatures: Uint8Array;
}

export interface ChildWork {
  /** Index of the child in the group of the request. */
  index: number;
  validators: readonly number[];
  /** Public keys, concatenated in the order of `validators`. */
  keys: Uint8Array;
  proof: Uint8Array;
}

interface AnyWork {
  /** Inputs that decoding left out. */
  leftOut: readonly LeftOut[];
  /** log2 of the proof system's inverse rate; 0: the backend's default. */
  logInvRate: number;
}

/** Raw signatures and children of one message, to fold into one proof. */
export interface FoldWork extends AnyWork {
  kind: "fold";
  message: SignedMessage;
  raws: Raws;
  children: readonly ChildWork[];
}

/**
 * Several messages to merge into one proof, all or nothing: one input left out ends it without a proof.
 * The order is the block's, and that of the proof's claims. No message is there twice.
 */
export interface MergeWork extends AnyWork {
  kind: "merge";
  components: readonly ComponentWork[];
}

/** One message of a merge, with its raw signatures, or with a fold of it. */
export interface ComponentWork {
  message: SignedMessage;
  from: { kind: "raws"; raws: Raws } | { kind: "proof"; child: ChildWork };
}

export type GroupWork = FoldWork | MergeWork;

/** What the prover sees of the work: see `Work` in fleet.proto. */
export type SentWork = Omit<FoldWork, "leftOut"> | Omit<MergeWork, "leftOut">;

/** The messages of the work: of a merge one for each component, in their order. */
export function messagesOf(work: SentWork): readonly SignedMessage[] {
  return work.kind === "fold" ? [work.message] : work.components.map(({ message }) => message);
}

/** What the proof of a merge attests: exactly this, in this order. */
export function claimsOf({ components }: Pick<MergeWork, "components">): KeyClaim[] {
  return components.map(({ message, from }) => {
    return { ...message, keys: from.kind === "raws" ? from.raws.keys : from.child.keys };
  });
}

/** All raw signatures and proofs of the work: of a merge those of its components, in their order. */
export function inputsOf(work: SentWork): {
  raws: readonly Raws[];
  children: readonly ChildWork[];
} {
  if (work.kind === "fold") return { raws: [work.raws], children: work.children };
  const sources = work.components.map(({ from }) => from);
  return {
    raws: sources.flatMap((from) => (from.kind === "raws" ? [from.raws] : [])),
    children: sources.flatMap((from) => (from.kind === "proof" ? [from.child] : [])),
  };
}

/** Why decoding leaves a child out. Of several bad ones with a validator the first reason is its vote's. */
export const childReasons = ["unknown_key", "bad_child", "other_system"] as const;

/** Validators of the children that decoding left out, as bitlists, by the reason. */
export type VotesLeftOut = Readonly<Record<(typeof childReasons)[number], Uint8Array>>;

/** No child was left out. */
export function noVotesLeftOut(): VotesLeftOut {
  const none = new Uint8Array();
  return { unknown_key: none, bad_child: none, other_system: none };
}

/** One group of a decoded snapshot. */
export interface DecodedGroup<Work extends GroupWork = GroupWork> {
  /** Undefined for a merge. */
  data: AttestationData | undefined;
  /** Of a merge, what its proof claims, in its order, as outcomes say it; empty for a fold. */
  claims: readonly Claim[];
  /** Of a merge, the votes of each component; empty for a fold. */
  claimVotes: readonly number[];
  work: Work;
  /** True for a group beyond `groupsMax`: it ends `not_started: limit`; `work` has no inputs. */
  isOverLimit: boolean;
  /** SHA-256, in hexadecimal, of all that the prover sees: equal for equal work of any node. */
  digest: string;
  /**
   * Number of validators of its raw signatures and children, those left out included; of a merge,
   * of each component by itself.
   */
  votes: number;
  votesLeftOut: VotesLeftOut;
  /**
   * Length of the longest SSZ bitlist in the snapshot, which the outcome's gets at least; undefined
   * when participants have no length bit.
   */
  sszLength: number | undefined;
}

/** Whether a proof of the group may start; without its inputs, a merge ends rejected. */
export function mayStart({ isOverLimit, work }: DecodedGroup): boolean {
  return !isOverLimit && !(work.kind === "merge" && work.leftOut.length > 0);
}

/**
 * Who verified a proof before it was delivered. `other_host`: a prover of another host than its maker's.
 * `standby`: another process of this service than the one that made it. `prover`: the process that
 * made it, for lack of another. `same_host`: the lane host that made it, for lack of another, or
 * because the operator wants it so.
 */
export type VerifiedBy = "other_host" | "standby" | "prover" | "same_host";

/** Why a running attempt was killed; its group ends `stopped` with this reason. */
export type StopReason = "fence" | "cancelled" | "preempted" | "superseded" | "draining";

/**
 * Why a lane started no proof. `predicted_miss`: no part is likely enough to be in time. `memory`: only
 * parts would be that take more memory than the device's prover may hold.
 */
export type NotStartedReason = "deadline" | "predicted_miss" | "memory";

/**
 * How an attempt ended. It does not say whether in time: the session compares the instant at which
 * it gets the result with its own deadline and fence.
 */
export type ProofResult =
  | {
      kind: "proved";
      proof: Uint8Array;
      /** Whom a fold's proof covers; empty for a merge, whose proof has all its claims. */
      validators: readonly number[];
      childrenFolded: readonly number[];
      leftOut: readonly LeftOut[];
      proveMs: number;
      /** Undefined while that is not decided. */
      verifiedBy?: VerifiedBy;
    }
  | { kind: "nothing_to_prove"; leftOut: readonly LeftOut[] }
  | { kind: "rejected"; leftOut: readonly LeftOut[] }
  /** The group has so many inputs, fewer than its request asks for; ends `nothing_to_prove`. */
  | { kind: "too_few_inputs"; inputs: number; leftOut: readonly LeftOut[] }
  | { kind: "not_started"; reason: NotStartedReason; leftOut: readonly LeftOut[] }
  | {
      kind: "failed";
      reason: "prover_died" | "prover_error";
      detail: string;
      /** How many provers died during the attempt that the service had not killed. */
      deaths: number;
      /** Whether a proof was made that does not verify. Default: false. */
      isInvalidProof?: boolean;
      /** Whether the lane has gone, with its machine perhaps: the input has no fault. Default: false. */
      isLaneGone?: boolean;
    };
