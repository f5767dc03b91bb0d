/**
 * The messages between the scheduler and a lane, which know each other by nothing else. Every
 * message is plain data, and may be lost, delayed, doubled or overtaken, so a lane may run in
 * another process or on another machine. A *lease* is a lane's offer to take one attempt. The end
 * of the attempt uses the lease up, so a message of an earlier lease is stale. Instants are
 * milliseconds of the service's monotonic clock; a link to another machine has to convert them.
 */
import type { ProverDescription } from "../work/prover-description.js";
import type { Costs } from "../work/costs/costs.js";
import type { MemoryModel } from "../work/costs/memory-model.js";
import type { GroupWork, ProofResult, StopReason } from "../work/group.js";
import type { Shape } from "../work/shape.js";
import type { Step } from "../work/submission.js";

/**
 * Why a lane kills a prover: the scheduler's reason to stop the attempt, or the lane's own.
 * `wedged`: the prover hangs. `memory`: it exceeds its ceiling. `restart`: the operator asked for
 * a fresh prover. `closed`: the lane ends.
 */
export type KillCause = StopReason | "wedged" | "memory" | "restart" | "closed";

/** What the lane needs for one attempt at proving a group. */
export interface Assignment {
  readonly work: GroupWork;
  /** The digest of the group (see `DecodedGroup`), by which another door may adopt the attempt. */
  readonly digest: string;
  readonly deadlineAtMs: number;
  readonly fenceAtMs: number;
  /**
   * What a vote is worth by when: see `jointSteps`, whose weights are from 0 to 1. Empty: the same
   * until the fence.
   */
  readonly steps: readonly Step[];
  /**
   * True for the first attempt of a session: its proof may start after the deadline, because
   * verifying the inputs may take until then.
   */
  readonly isFirstOfSession: boolean;
  /**
   * True when a part is proved even without the least chance, so that wrongly learned costs exclude
   * no shape for ever: see `exploration.ts`.
   */
  readonly isExploration: boolean;
  /** True when inputs may be left out for lack of time; the result names them as `shed`. */
  readonly mayShed: boolean;
  /** Fewest inputs that are worth a proof to some waiter: see `work/inputs.ts`. */
  readonly minInputs: number;
  /** 0 to 1: at which input the kept ones begin when others are shed; see `rotationOf`. */
  readonly rotation: number;
  /** True after an attempt whose prover died by itself: the proof may start until the fence. */
  readonly isRetry: boolean;
}

/** The assignment alone, as plain data without callbacks, so that it can be sent to another machine. */
export function plainAssignment(of: Assignment): Assignment {
  const { work, digest, deadlineAtMs, fenceAtMs, steps, rotation } = of;
  const { isFirstOfSession, isExploration, isRetry, mayShed, minInputs } = of;
  return {
    ...{ work, digest, deadlineAtMs, fenceAtMs, steps, rotation },
    ...{ isFirstOfSession, isExploration, isRetry, mayShed, minInputs },
  };
}

/** A role that a prover process has on its device. */
export type LaneRole = "active" | "standby";

/** What the operator may ask of a lane. */
export type OperatorCommand =
  /** Take no new attempt, or take attempts again. */
  | { readonly kind: "drain"; readonly isDrained: boolean }
  /** Replace the prover of this role by a fresh one; an active one first ends its running proof. */
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
  /**
   * Takes part in an attempt at the same work that another door has on the lane, or in its proof
   * that is held: the lane has listed the digest as `adoptable`. From then on the attempt is the
   * sender's too, under its own number, and ends for it at `fenceAtMs`.
   */
  | {
      readonly kind: "adopt";
      readonly attempt: number;
      /** Not sent: the link names with it the inputs of the result. */
      readonly work: GroupWork;
      readonly digest: string;
      readonly fenceAtMs: number;
    }
  /** Numbered from 1; a lane carries out each command once and reports it in `commandsDone`. */
  | { readonly kind: "command"; readonly number: number; readonly command: OperatorCommand };

/** The proof of an attempt, which begins once the attempt's inputs are verified. */
export interface RunningProof {
  readonly startedAtMs: number;
  readonly shape: Shape;
}

/** What a device does at the moment of the report. */
export type ReportedPhase =
  /** The active prover is being set up. `isCalibrating`: it makes a proof to measure the device. */
  | { readonly kind: "starting"; readonly isCalibrating: boolean }
  | { readonly kind: "idle" }
  /**
   * `attempt`: the reader's; null: another door's alone. `proof` is null while the inputs are
   * verified.
   */
  | {
      readonly kind: "proving";
      readonly attempt: number | null;
      readonly proof: RunningProof | null;
    }
  /** The active prover was killed, and its process has not ended yet. */
  | { readonly kind: "stopping"; readonly cause: KillCause }
  /** The active prover could not be set up; its setup is tried again at `retryAtMs`. */
  | { readonly kind: "failed"; readonly cause: string; readonly retryAtMs: number };

/** Why the device has failed, or what its setup does; else empty. */
export function phaseDetail(phase: ReportedPhase): string {
  switch (phase.kind) {
    case "failed":
      return phase.cause;
    case "starting":
      return phase.isCalibrating ? "calibrating" : "";
    default:
      return "";
  }
}

/** A prover process of a lane. */
export interface LaneProver {
  readonly role: LaneRole;
  /** Process id; undefined for the fake prover. */
  readonly pid: number | undefined;
  /** True while the prover is set up and not killed. */
  readonly isReady: boolean;
  /** Resident memory in bytes; 0 until the prover has reported it. */
  readonly residentBytes: number;
}

/** Work of other doors that a lane proves, or whose proof it holds until the fence. */
export interface Adoptable {
  readonly digest: string;
  /** When the lane kills the proof, or forgets it. */
  readonly fenceAtMs: number;
  /** True while it is proved. */
  readonly isRunning: boolean;
}

/** The whole state of a lane: its reader needs no earlier report. */
export interface LaneReport {
  /** While the lane is idle and not drained, one attempt may be assigned under this lease. */
  readonly lease: number;
  readonly phase: ReportedPhase;
  /** True while the operator wants the lane to take no new attempt. */
  readonly isDrained: boolean;
  /** True when the active prover is to be replaced once its running proof has ended. */
  readonly isRestartDue: boolean;
  /** True while a standby is set up, which can take over at once. */
  readonly isStandbyReady: boolean;
  /** True while the lane, idle, refreshes its learned costs with a small proof. */
  readonly isRefreshing: boolean;
  /** Why there is no standby, for people; empty while there is one, and when none may be. */
  readonly standbyCause: string;
  /** The prover processes that live, the active one first. */
  readonly provers: readonly LaneProver[];
  /** The lane's provers as they describe themselves; null until the first is set up. */
  readonly description: ProverDescription | null;
  /** The learned costs of the device; the uncertainty of each is that of its instant `atMs`. */
  readonly costs: Costs;
  /** What is known of the memory that proofs take. */
  readonly memory: MemoryModel;
  /** Number of the operator's last command that was carried out; 0: none was. */
  readonly commandsDone: number;
  /** What the reader may adopt; always empty of a lane in its own process. */
  readonly adoptable: readonly Adoptable[];
}

/** As `phaseDetail`, and what an idle lane does. */
export function laneDetail({ phase, isRefreshing }: LaneReport): string {
  return isRefreshing ? "refreshing its learned costs" : phaseDetail(phase);
}

/**
 * A lane's report, sent at every change and twice a second, but never as a reply: replies to stale
 * messages would multiply. `sequence` numbers a lane's announcements from 1.
 */
export interface Announcement extends LaneReport {
  readonly kind: "announce";
  readonly sequence: number;
}

export type FromLane =
  Announcement | { readonly kind: "ended"; readonly attempt: number; readonly result: ProofResult };

/** What the scheduler hears through a link to a lane. */
export type FromLink =
  | FromLane
  /** The link could not reach the lane, which therefore never gets this attempt. */
  | { readonly kind: "missed"; readonly attempt: number };

/** Takes the scheduler's messages to one lane. */
export interface LaneLink {
  readonly deviceId: string;
  /** Cores that its provers have; undefined where they are not known, as on a lane host. */
  readonly cores?: number | undefined;
  /** Sends the message and returns at once. The message may get lost. */
  send(message: ToLane): void;
}

/**
 * Hears of the lanes of one source, which come and go while the service runs. `Message`: what it
 * hears of them; `FromLane` where every lane can be reached.
 */
export interface LaneListener<Message = FromLink> {
  /** A lane has come; of a device that came before and has gone, it is a new one. */
  added(link: LaneLink): void;
  heard(deviceId: string, message: Message): void;
  /** The lane has gone, with what it was assigned. `why`: for people, such as "h1 is silent". */
  gone(deviceId: string, why: string): void;
}

/** Delivers a message later; the simulation's version also loses, delays, doubles and reorders. */
export type Post = <Message>(message: Message, receive: (message: Message) => void) => void;
