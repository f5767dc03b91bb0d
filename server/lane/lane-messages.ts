/**
 * What the scheduler and a lane say to each other: the seam to where proving happens. Every message
 * may be lost, delayed, doubled or overtaken. A *lease* is a lane's offer to take one attempt; it is
 * used up by the attempt's end, so a message of an earlier lease is known to be stale.
 */
import type { GroupWork, ProofResult, StopReason } from "../work/group.js";
import type { Shape } from "../work/shape.js";

/** One attempt at proving a group; instants are of the service's monotonic clock. */
export interface LaneJob {
  work: GroupWork;
  deadlineAtMs: number;
  fenceAtMs: number;
  /** Assigned in time, it may start late: its inputs may take until then to verify. */
  isFirstOfSession: boolean;
  /** Starts whatever is predicted, so that no shape is locked out by bad samples: see `Tries`. */
  isTry: boolean;
  /** What does not fit may be left out, named `shed`. */
  mayBeCut: boolean;
  /** What is kept of a group that is cut: see `rotationOf`. */
  rotation: number;
  /** The second try after a death that we did not cause: bound by the fence alone. */
  isRetry: boolean;
}

/** The proof proper of an attempt: what it folds, and when proving began (monotonic). */
export interface RunningProof {
  readonly startedAtMs: number;
  readonly shape: Shape;
}

export type ToLane =
  | { kind: "assign"; lease: number; attempt: number; job: LaneJob }
  | { kind: "kill"; lease: number; attempt: number; reason: StopReason };

/** What a lane is at the moment; told at every change and again with every beat, never in reply. */
export interface Announcement {
  kind: "announce";
  lease: number;
  /** `idle`: one attempt may be assigned under this lease. `back_soon`: down, a standby is ready. */
  status: "idle" | "proving" | "back_soon" | "down";
  /** The attempt that is being proved. */
  attempt: number | null;
}

export type FromLane = Announcement | { kind: "ended"; attempt: number; result: ProofResult };
