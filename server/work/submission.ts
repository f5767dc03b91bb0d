/** A snapshot as admission, sessions and the schedule see it: checked, with absolute budgets. */
import type { Accepted } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { SubmittingPrincipal } from "./principal.js";
import type { SkipReason } from "../reasons.js";
import type { DecodedGroup } from "./group.js";

/** The id that the caller gave a request, and a digest of what it asks for. */
export interface RequestIdentity {
  nodeId: string;
  /** Empty when the caller gave none. */
  requestId: string;
  /** SHA-256 of what the request asks for, without its budgets, in hexadecimal. */
  contentDigest: string;
}

/** A checked snapshot; instants are of the service's monotonic clock. */
export interface Submission extends RequestIdentity {
  principal: SubmittingPrincipal;
  nodeEpoch: bigint;
  slot: bigint;
  /** A key of `priorityNames`: a smaller number is a higher class. */
  priority: number;
  /** Whether a session that is in the way is superseded, instead of this snapshot being skipped. */
  shouldReplace: boolean;
  /** Whether a part of a group may be proved when the whole does not fit. */
  mayBeCut: boolean;
  receivedAtMs: number;
  deadlineAtMs: number;
  fenceAtMs: number;
  /** Size of the request's content. */
  bytes: number;
  groups: readonly DecodedGroup[];
  /** The answer if the snapshot is accepted, except for what only admission knows. */
  accepted: Omit<Accepted, "sessionId" | "predictedFinishMs" | "$typeName" | "$unknown">;
}

/** What a request says of its snapshot besides the groups. */
export type Envelope = Omit<Submission, "groups">;

/** The answer to a submitted snapshot. */
export type SubmitAnswer =
  | { kind: "accepted"; accepted: Omit<Accepted, "$typeName" | "$unknown"> }
  | {
      kind: "skipped";
      reason: SkipReason;
      detail: string;
      /** When the least of the snapshot would be done, in milliseconds from its receipt. */
      predictedFinishMs?: number;
      /** The session that is in the way. */
      sessionId?: string;
    };
