/**
 * The messages between the scheduler and a lane: all that either knows of the other. Every message
 * is plain data, and may be lost, delayed, doubled or overtaken, so a lane may run in another
 * process or on another machine. A *lease* is a lane's offer to take one attempt. The end of the
 * attempt uses the lease up, so a message of an earlier lease is stale. Instants are of the
 * service's monotonic clock; a link to another machine has to convert them.
 */
import type { ProverDescription } from "../work/prover-description.js";
import type { CostModel } from "../work/cost-model.js";
import type { GroupWork, ProofResult, StopReason } from "../work/group.js";
import type { Shape } from "../work/shape.js";

/** Why a lane kills a prover: a stop reason of the scheduler, or a reason of its own. */
export type KillCause = StopReason | "wedged" | "memory" | "restart" | "closed";

/** What the lane needs for one attempt at proving a group. */
export interface Assignment {
  readonly work: GroupWork;
  readonly deadlineAtMs: number;
  readonly fenceAtMs: number;
  /**
   * Assigned in time, it may start late: verifying its inputs may take until after the deadline.
   */
  readonly isFirstOfSession: boolean;
  /**
   * Starts even if predicted to miss, so that bad samples lock no shape out: see `exploration.ts`.
   */
  readonly isTry: boolean;
  /** Inputs that do not fit may be left out; the result names them `shed`. */
  readonly mayBeCut: boolean;
  /** Which inputs are kept when some are shed: see `rotationOf`. */
  readonly rotation: number;
  /** The second attempt after a death that we did not cause: only the fence bounds its start. */
  readonly isRetry: boolean;
}

/** A role that a prover process has on its device. */
export type LaneRole = "active" | "standby";

/** What the operator may ask of a lane. */
export type OperatorCommand =
  /** Take no new attempt, or take attempts again. */
  | { readonly kind: "drain"; readonly isDrained: boolean }
  /** Replace the prover by a fresh one; the active one after the proof that it makes. */
  | { readonly kind: "restart"; readonly role: LaneRole };

export type ToLane =
  | {
      readonly kind: "assign";
      readonly lease: number;
      readonly attempt: number;
      readonly assignment: Assignment;
    }
  | {
      readonly kind: "kill";
      readonly lease: number;
      readonly attempt: number;
      readonly reason: StopReason;
    }
  /** Numbered from 1; a lane carries a number out once, and reports it in `commandsDone`. */
  | { readonly kind: "command"; readonly number: number; readonly command: OperatorCommand };

/** The proof proper of an attempt, which begins once its inputs are verified. */
export interface RunningProof {
  readonly startedAtMs: number;
  readonly shape: Shape;
}

/** What a device does. */
export type ReportedPhase =
  /** The active prover is being set up, and then may make a proof that measures the device. */
  | { readonly kind: "starting"; readonly isCalibrating: boolean }
  | { readonly kind: "idle" }
  /** `proof` is null while the inputs are verified. */
  | { readonly kind: "proving"; readonly attempt: number; readonly proof: RunningProof | null }
  | { readonly kind: "stopping"; readonly cause: KillCause }
  | { readonly kind: "failed"; readonly cause: string; readonly retryAtMs: number };

/** A prover process of a lane. */
export interface LaneProver {
  readonly role: LaneRole;
  /** Process id; undefined for the fake prover. */
  readonly pid: number | undefined;
  readonly isReady: boolean;
  /** Resident memory in bytes; 0 until the prover has reported it. */
  readonly residentBytes: number;
}

/** The state of a lane, whole: nothing has to be remembered from an earlier report. */
export interface LaneReport {
  /** While the phase is idle and the lane not drained, one attempt may be assigned under it. */
  readonly lease: number;
  readonly phase: ReportedPhase;
  readonly isDrained: boolean;
  /** The active prover is replaced once its proof has ended. */
  readonly isRestartDue: boolean;
  /** A standby would take over at once. */
  readonly isStandbyReady: boolean;
  /** The active prover first. */
  readonly provers: readonly LaneProver[];
  /** What the lane proves with; null until its first prover is set up. */
  readonly description: ProverDescription | null;
  /** What proofs cost on this device, as certain as it was at `cost.atMs`. */
  readonly cost: CostModel;
  /** The number of the last operator's command that was carried out; 0 for none. */
  readonly commandsDone: number;
}

/**
 * A lane's report, sent at every change and with every beat, never in reply: replies to stale
 * messages would multiply. `sequence` counts a lane's announcements from 1.
 */
export interface Announcement extends LaneReport {
  readonly kind: "announce";
  readonly sequence: number;
}

export type FromLane =
  Announcement | { readonly kind: "ended"; readonly attempt: number; readonly result: ProofResult };

/** The scheduler's way to a lane. */
export interface LaneLink {
  readonly deviceId: string;
  /** Returns at once. The message may get lost. */
  send(message: ToLane): void;
}

/** Carries a message to its receiver; the simulation loses, delays, doubles and reorders. */
export type Post = <Message>(message: Message, receive: (message: Message) => void) => void;
