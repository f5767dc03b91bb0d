/** A submitted snapshot as admission, sessions and the schedule see it: checked and decoded. */
import type { Accepted } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { SubmittingPrincipal } from "./principal.js";
import type { SkipReason } from "../reasons.js";
import type { DecodedGroup } from "./group.js";
import type { ProofSystemName } from "./prover-description.js";

/** The id that the caller gave a request, and a digest of what it asks for. */
export interface RequestIdentity {
  nodeId: string;
  /** Empty when the caller gave none. */
  requestId: string;
  /** SHA-256, in hexadecimal, of what the request asks for, without its deadline and fence. */
  contentDigest: string;
}

/** A vote is worth `weight` in a proof that is ready before `untilAtMs`. */
export interface Step {
  untilAtMs: number;
  weight: number;
}

/** A checked snapshot. Instants (`…AtMs`) are milliseconds of the service's monotonic clock. */
export interface Submission extends RequestIdentity {
  principal: SubmittingPrincipal;
  nodeEpoch: bigint;
  slot: bigint;
  /** A key of `priorityNames`: a smaller number is a higher class. */
  priority: number;
  /** Whether an earlier session in flight is superseded, instead of this snapshot being skipped. */
  shouldReplace: boolean;
  /** Whether a part of a group may be proved when the whole does not fit. */
  mayShed: boolean;
  /** Fewest inputs of a group that are worth a proof, at least 1. */
  minInputs: number;
  receivedAtMs: number;
  deadlineAtMs: number;
  fenceAtMs: number;
  /** In order of their instants; empty: a vote is worth the same until the fence. */
  steps: readonly Step[];
  /** Size of the request in bytes, approximately: see `contentOf`. */
  bytes: number;
  groups: readonly DecodedGroup[];
  /** Whether its groups are merges. Default: they are not. */
  isMerge?: boolean;
  /** The caller's trace context, as a valid W3C `traceparent`. Default: it sent none. */
  traceparent?: string;
  /** The answer if the snapshot is accepted, without the fields that admission fills in. */
  accepted: Pick<Accepted, "deadlineMs" | "fenceMs" | "deadlineSource">;
}

/** A submission before its groups are decoded. */
export interface Envelope extends Omit<Submission, "groups"> {
  /** The proof system that the request names. Default: it names none. */
  asked?: ProofSystemName;
  /** True when no time is left: only the answer to an earlier request with this id is wanted. */
  isLookup?: boolean;
}

/** The answer to a submitted snapshot. */
export type SubmitAnswer =
  | { kind: "accepted"; accepted: Omit<Accepted, "$typeName" | "$unknown" | "serviceId"> }
  | {
      kind: "skipped";
      reason: SkipReason;
      detail: string;
      /** When the smallest part would be proved, in ms from receipt; absent if not predicted. */
      predictedFinishMs?: number;
      /** The request in flight because of which the snapshot is skipped; absent for another reason. */
      inFlightRequestId?: string;
    };
