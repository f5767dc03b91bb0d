/**
 * The scheduler's handle on one lane: the link to the lane, the belief about it, the last
 * assignment, and the operator's commands. Owned by the dispatcher.
 */
import { assertNever } from "../errors.js";
import type {
  Assignment,
  FromLane,
  LaneLink,
  LaneReport,
  OperatorCommand,
} from "../lane/lane-messages.js";
import { quantileMs } from "../work/cost-model.js";
import type { ProofResult, StopReason } from "../work/group.js";
import { shapeOf } from "../work/shape.js";
import type { BeliefEffect, LaneBelief, LaneDuty } from "./lane-belief.js";
import { abandon, assign, hear, unknownLane } from "./lane-belief.js";
import type { CommandQueue } from "./operator-commands.js";
import { confirm, issue, next, noCommands } from "./operator-commands.js";

/** How an attempt ended; reported once for each attempt that is not killed. */
export type AttemptEnd =
  | { kind: "finished"; attempt: number; result: ProofResult }
  /** The lane has a later lease, and no result of the attempt has arrived. */
  | { kind: "lost"; attempt: number };

/** How waiting for a report of a device ended. */
export type Awaited =
  | { readonly kind: "reported"; readonly report: LaneReport }
  /** The signal aborted before such a report. */
  | { readonly kind: "aborted" }
  /** The device has gone. `why`: for people. */
  | { readonly kind: "gone"; readonly why: string };

/** A device as the operator sees and commands it. */
export interface OperatedDevice {
  readonly deviceId: string;
  readonly report: LaneReport;
  /** Resolves with the report that confirms the command. */
  order(command: OperatorCommand, signal: AbortSignal): Promise<Awaited>;
  /** Resolves once no proof runs and no prover is being stopped. */
  untilQuiet(signal: AbortSignal): Promise<Awaited>;
}

export class LaneHandle implements OperatedDevice {
  private belief: LaneBelief = unknownLane;
  private commands: CommandQueue = noCommands;
  /** The last assignment, to send again and for forecasts; undefined before the first. */
  private assignment: Assignment | undefined;
  /** Functions called after each new report, and once the lane has gone. */
  private readonly watchers = new Set<() => void>();
  /** Why the lane has gone; undefined while it is there. */
  private goneBecause: string | undefined;

  constructor(private readonly link: LaneLink) {}

  get deviceId(): string {
    return this.link.deviceId;
  }

  /** The newest report of the lane. */
  get report(): LaneReport {
    return this.belief.report;
  }

  get duty(): LaneDuty {
    return this.belief.duty;
  }

  /** Takes a message of the lane. Returns the end of its attempt, or an empty list for none. */
  hear(message: FromLane): AttemptEnd[] {
    const { sequence } = this.belief;
    const { belief, effects } = hear(this.belief, message);
    this.belief = belief;
    const ends = effects.flatMap((effect) => this.apply(effect));
    if (belief.sequence > sequence) {
      this.commands = confirm(this.commands, belief.report.commandsDone);
      this.sendCommand();
      this.wakeWatchers();
    }
    return ends;
  }

  /**
   * Notes that the lane has gone, and ends what waits for its reports. Returns the end of its
   * attempt, which counts as one death of a prover, or an empty list for none.
   */
  end(why: string): AttemptEnd[] {
    this.goneBecause = why;
    this.wakeWatchers();
    const { duty } = this.belief;
    if (duty.kind !== "assigned") return [];
    const detail = `${why}; device ${this.deviceId} has gone with the attempt`;
    const result = { kind: "failed", reason: "prover_died", detail, deaths: 1 } as const;
    return [{ kind: "finished", attempt: duty.attempt, result }];
  }

  /**
   * Notes that the lane gets an attempt; the caller then sends it with `sendAssignment`. Throws
   * when the lane is not idle.
   */
  assign(attempt: number, assignment: Assignment): void {
    this.belief = assign(this.belief, attempt);
    this.assignment = assignment;
  }

  /** Sends the last assignment, unless its attempt has ended or been killed since. */
  sendAssignment(): void {
    const { duty, report } = this.belief;
    const { assignment } = this;
    if (duty.kind !== "assigned" || assignment === undefined) return;
    this.link.send({ kind: "assign", lease: report.lease, attempt: duty.attempt, assignment });
  }

  /** Kills the lane's attempt; `hear` does not return its end. Throws when no attempt is assigned. */
  kill(reason: StopReason): void {
    this.belief = abandon(this.belief, reason);
    this.sendKill();
  }

  /**
   * The instant at which the lane is predicted to take work again; Infinity while the lane is down.
   *
   * @param deviations how far the running proof's duration is above the median, in standard
   * deviations
   */
  freeAtMs(nowMs: number, deviations: number): number {
    const { duty, report } = this.belief;
    if (duty.kind === "down") return Infinity;
    if (duty.kind !== "assigned" || this.assignment === undefined) return nowMs;
    const { phase, cost } = report;
    const isProving = phase.kind === "proving" && phase.attempt === duty.attempt;
    const proof = (isProving ? phase.proof : null) ?? {
      startedAtMs: nowMs,
      shape: shapeOf(this.assignment.work),
    };
    return proof.startedAtMs + quantileMs(cost, proof.shape, deviations);
  }

  order(command: OperatorCommand, signal: AbortSignal): Promise<Awaited> {
    this.commands = issue(this.commands, command);
    const { lastNumber } = this.commands;
    if (this.commands.pending.length === 1) this.sendCommand();
    return this.until(({ commandsDone }) => commandsDone >= lastNumber, signal);
  }

  untilQuiet(signal: AbortSignal): Promise<Awaited> {
    const isQuiet = ({ phase: { kind } }: LaneReport) => kind !== "proving" && kind !== "stopping";
    return this.until(isQuiet, signal);
  }

  private wakeWatchers(): void {
    for (const look of [...this.watchers]) look();
  }

  private apply(effect: BeliefEffect): AttemptEnd[] {
    switch (effect.kind) {
      case "deliver": {
        const { attempt, result } = effect;
        return [{ kind: "finished", attempt, result }];
      }
      case "lost":
        return [{ kind: "lost", attempt: effect.attempt }];
      case "resend_assign":
        this.sendAssignment();
        return [];
      case "resend_kill":
        this.sendKill();
        return [];
      default:
        return assertNever(effect);
    }
  }

  private sendKill(): void {
    const { duty, report } = this.belief;
    if (duty.kind !== "abandoned") return;
    const { attempt, reason } = duty;
    this.link.send({ kind: "kill", lease: report.lease, attempt, reason });
  }

  private sendCommand(): void {
    const due = next(this.commands);
    if (due !== undefined) this.link.send({ kind: "command", ...due });
  }

  /** Resolves with the first report that `holds` accepts. */
  private until(holds: (report: LaneReport) => boolean, signal: AbortSignal): Promise<Awaited> {
    return new Promise((resolve) => {
      const end = (awaited: Awaited) => {
        this.watchers.delete(look);
        signal.removeEventListener("abort", abort);
        resolve(awaited);
      };
      const look = () => {
        const { report, goneBecause } = this;
        if (goneBecause !== undefined) end({ kind: "gone", why: goneBecause });
        else if (holds(report)) end({ kind: "reported", report });
      };
      const abort = () => end({ kind: "aborted" });
      this.watchers.add(look);
      signal.addEventListener("abort", abort);
      look();
      if (signal.aborted) abort();
    });
  }
}
