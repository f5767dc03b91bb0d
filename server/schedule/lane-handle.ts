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

/** A device as the operator sees and commands it. */
export interface OperatedDevice {
  readonly deviceId: string;
  readonly report: LaneReport;
  /** Resolves with the report that confirms the command; undefined when the signal aborts first. */
  order(command: OperatorCommand, signal: AbortSignal): Promise<LaneReport | undefined>;
  /** Resolves once no proof runs and no prover is being stopped, or when the signal aborts. */
  untilQuiet(signal: AbortSignal): Promise<void>;
}

export class LaneHandle implements OperatedDevice {
  private belief: LaneBelief = unknownLane;
  private commands: CommandQueue = noCommands;
  /** The last assignment, to send again and for forecasts; undefined before the first. */
  private assignment: Assignment | undefined;
  /** Functions called with each new report. */
  private readonly watchers = new Set<(report: LaneReport) => void>();

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
      for (const look of [...this.watchers]) look(belief.report);
    }
    return ends;
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

  async order(command: OperatorCommand, signal: AbortSignal): Promise<LaneReport | undefined> {
    this.commands = issue(this.commands, command);
    const { lastNumber } = this.commands;
    if (this.commands.pending.length === 1) this.sendCommand();
    return this.until(({ commandsDone }) => commandsDone >= lastNumber, signal);
  }

  async untilQuiet(signal: AbortSignal): Promise<void> {
    const isQuiet = ({ phase: { kind } }: LaneReport) => kind !== "proving" && kind !== "stopping";
    await this.until(isQuiet, signal);
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

  /** Resolves with the first report that `holds` accepts; undefined if the signal aborts first. */
  private until(
    holds: (report: LaneReport) => boolean,
    signal: AbortSignal,
  ): Promise<LaneReport | undefined> {
    return new Promise((resolve) => {
      const end = (report: LaneReport | undefined) => {
        this.watchers.delete(look);
        signal.removeEventListener("abort", abort);
        resolve(report);
      };
      const look = (report: LaneReport) => (holds(report) ? end(report) : undefined);
      const abort = () => end(undefined);
      this.watchers.add(look);
      signal.addEventListener("abort", abort);
      look(this.report);
      if (signal.aborted) abort();
    });
  }
}
