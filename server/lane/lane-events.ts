/** State, events and effects of a lane's state machine; `lane-state.ts` has its transitions. */
import type { StopReason } from "../work/group.js";
import type { KillCause, OperatorCommand } from "./lane-messages.js";

/** A prover process, by the number under which the lane knows it. */
export interface HeldProver {
  readonly prover: number;
  /** `killed`: SIGKILL was sent after the setup, and the process has not ended yet. */
  readonly status: "starting" | "ready" | "killed";
  /** True once it was given an attempt: its memory is then no longer that of a fresh prover. */
  readonly isUsed: boolean;
}

export type LanePhase =
  /** The active prover is being set up. */
  | { kind: "starting" }
  | { kind: "idle" }
  /** As idle, but the active prover makes a proof that refreshes the learned costs. */
  | { kind: "refreshing" }
  /** An attempt has come while refreshing: that prover was killed, and the standby will prove it. */
  | { kind: "handing_over"; attempt: number }
  | { kind: "proving"; attempt: number; overrunAtMs: number }
  /** The active prover has been killed; the device is busy until the process has really ended. */
  | { kind: "stopping"; cause: KillCause }
  /** The active prover could not be set up; its setup is tried again at `retryAtMs`. */
  | { kind: "failed"; cause: string; retryAtMs: number };

export interface LaneState {
  readonly phase: LanePhase;
  /** Number of the current lease; raised when an attempt ends or an assignment cannot be taken. */
  readonly lease: number;
  readonly active: HeldProver | null;
  readonly standby: HeldProver | null;
  /** The instant since which there is no standby; without meaning while there is one. */
  readonly standbyMissingSinceMs: number;
  /** No standby is set up before this instant. */
  readonly standbyRetryAtMs: number;
  /** Why the last setup of a standby failed; empty when it did not. */
  readonly standbyCause: string;
  /** Resident bytes of the newest prover after its setup; undefined before the first. */
  readonly setupBytes: number | undefined;
  /** Number of setups of the active prover that failed in a row. */
  readonly startFailures: number;
  /** Number of setups of the standby that failed in a row. */
  readonly standbyFailures: number;
  /** Number of the prover that was started last; 0: none was. */
  readonly lastProver: number;
  /** True while the operator wants the lane to take no new attempt. */
  readonly isDrained: boolean;
  /** True when the operator wants the active prover replaced once its running proof has ended. */
  readonly isRestartDue: boolean;
  /** Number of the operator's last command that was carried out; 0: none was. */
  readonly commandsDone: number;
}

export type LaneEvent =
  | { kind: "open" }
  /** The prover is set up. `residentBytes`: its memory after the setup. */
  | { kind: "ready"; prover: number; residentBytes: number }
  /**
   * The prover's process has ended; `why` is for people. `isRefused`: the service cannot use the
   * library, so that another prover would end in the same way. `isOutOfMemory`: the kernel killed it for
   * memory, or its library had too little; by default not.
   */
  | { kind: "exited"; prover: number; why: string; isRefused: boolean; isOutOfMemory?: boolean }
  | { kind: "assign"; lease: number; attempt: number }
  | { kind: "kill"; lease: number; attempt: number; reason: StopReason }
  /** The attempt's proof begins; after the instant `overrunAtMs` its prover counts as hung. */
  | { kind: "proof_started"; attempt: number; overrunAtMs: number }
  /**
   * The attempt has a result. `residentBytes`: memory of its prover. `isWedged`: that prover died or hung
   * in the attempt, by default not.
   */
  | { kind: "ended"; attempt: number; residentBytes: number; isWedged?: boolean }
  /**
   * Sent every half second. Silences are milliseconds since the prover's last message; -Infinity
   * where no prover is set up. `residentBytes`: memory of the active prover. `isRefreshDue`: the
   * learned costs want a small proof, and there is time for it.
   */
  | {
      kind: "beat";
      activeSilentMs: number;
      standbySilentMs: number;
      residentBytes: number;
      isRefreshDue: boolean;
    }
  /** The proof that refreshes the costs has ended. `residentBytes`: memory of its prover. */
  | { kind: "refreshed"; residentBytes: number }
  | { kind: "command"; number: number; command: OperatorCommand }
  | { kind: "close" };

export type LaneEffect =
  | { kind: "start_prover"; prover: number }
  | { kind: "kill_prover"; prover: number; cause: KillCause | "refresh" }
  | { kind: "run"; attempt: number }
  /** Make the proof that refreshes the costs. */
  | { kind: "refresh" }
  /** Send the result of the attempt to the scheduler. */
  | { kind: "report"; attempt: number }
  /**
   * Report to the scheduler that the attempt has failed because its prover died. `lesson`: what is learned of
   * its proof: that it takes at least so long, or more memory than there is. Default: nothing.
   */
  | { kind: "report_death"; attempt: number; why: string; lesson?: "duration" | "memory" }
  | { kind: "announce" };

export interface LaneOptions {
  /**
   * A standby is kept while a prover holds fewer resident bytes than this after its setup; when it
   * falls, a ready standby that no longer fits is killed. 0: never; Infinity: always.
   */
  standbyBytesMax: number;
  /** Resident bytes above which an active prover that has proved is replaced between proofs. */
  residentBytesMax: number;
  /** Share of the device's time, from 0 to 1, for proofs that refresh its learned costs; 0: none. */
  refreshShare: number;
  /** Most raw signatures of a job, below the prover's own limit; 0: that one alone. Default: 0. */
  leafRawsMax?: number;
}

export const announce: LaneEffect = { kind: "announce" };

/** What a transition makes of a state. */
export interface Step {
  state: LaneState;
  effects: LaneEffect[];
}
