/** A session, which is one accepted snapshot until its last group has ended, and its groups. */
import type { Votes } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { MemoryShare } from "../memory-budget.js";
import type { DecodedGroup, GroupWork } from "../work/group.js";
import type { ProverDescription } from "../work/prover-description.js";
import type { Submission } from "../work/submission.js";
import type { NodeRecord, RequestRecord } from "./node-record.js";
import type { SessionState } from "./session-state.js";

export interface Session {
  /** The operator's handle. A node knows the session by its request id. */
  readonly id: string;
  /** Number of the session in order of arrival, from 1. */
  readonly order: number;
  readonly submission: Submission;
  /** The provers for which the groups were decoded. */
  readonly prover: ProverDescription;
  /** Name of their proof system, as `proofSystemOf` writes it: its schedule has the groups. */
  readonly system: string;
  /** The node's record, which gets the outcomes and the summary. */
  readonly node: NodeRecord;
  /** What the node can read of this session. */
  readonly request: RequestRecord;
  /** Changed by `Sessions.step` only. */
  state: SessionState;
  /** Whether a device was idle when the snapshot was accepted. */
  readonly cameToIdle: boolean;
  /** When the first attempt at each group started; absent for a group that was never started. */
  readonly startedAtMs: Map<number, number>;
  /** Number of attempts that were started at each group; absent for 0. */
  readonly attempts: Map<number, number>;
  /** Number of outcomes by status. */
  readonly counts: Map<string, number>;
  /** Functions that cancel the timers of deadline and fence. */
  readonly cancelTimers: (() => void)[];
  /** Memory for the snapshot and its results; for the results alone once the session has ended. */
  readonly share: MemoryShare;
  /** The votes of the groups that have ended. */
  votes: Votes;
  /** Number of those in no proof, by fate and reason, for the log; absent for 0. */
  readonly leftOut: Map<string, number>;
  /** Number of the votes by fate, of its aggregates that have ended; absent for 0. */
  readonly fates: Map<string, number>;
  /** Prover time charged to the session so far, in core-milliseconds. */
  coreMs: number;
  /** Number of its attempts whose time is not charged yet. */
  uncharged: number;
  /** When its summary was made; undefined while it is in flight. */
  endedAtMs: number | undefined;
  /** Size of all proofs in the outcomes so far. */
  proofBytes: number;
  /** Memory for the request's record and its outcomes so far, without proofs; held until retention ends. */
  keptBytes: number;
}

/** One group of one session that waits for an attempt to start or to end. */
export interface Waiter {
  session: Session;
  /** Index of the group in the session's snapshot. */
  group: number;
}

/** Whether some group of the session waits for its start. */
export function isWaiting({ state }: Session): boolean {
  return state.groups.some(({ kind }) => kind === "queued");
}

export function groupOf({ session, group }: Waiter): DecodedGroup {
  const decoded = session.submission.groups[group];
  if (decoded === undefined) throw new Error(`session ${session.id} has no group ${group}`);
  return decoded;
}

export function workOf(waiter: Waiter): GroupWork {
  return groupOf(waiter).work;
}

/** Whether the group is queued for a second attempt, because the prover of its first one died. */
export function isRetry({ session, group }: Waiter): boolean {
  const state = session.state.groups[group];
  return state?.kind === "queued" && state.failure !== null;
}
