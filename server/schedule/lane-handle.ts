/**
 * The scheduler's handle on one lane: the link to the lane, the belief about it, the last
 * assignment, what is adopted there, and the operator's commands. Owned by the dispatcher.
 */
import { assertNever } from "../errors.js";
import type {
  Adoptable,
  Assignment,
  FromLink,
  LaneLink,
  LaneReport,
  OperatorCommand,
  RunningProof,
} from "../lane/lane-messages.js";
import { phaseDetail } from "../lane/lane-messages.js";
import { quantileOf } from "../work/costs/cost-model.js";
import type { GroupWork, ProofResult, StopReason } from "../work/group.js";
import { shapeOf, smallestShape } from "../work/shape.js";
import { review } from "./attempt/adoptions.js";
import type { Adoption, AdoptMessage } from "./attempt/adoptions.js";
import type { LaneCosts } from "./forecast/fleet-costs.js";
import type { BeliefEffect, LaneBelief, LaneDuty } from "./lane-belief.js";
import { abandon, assign, hear, unknownLane } from "./lane-belief.js";
import type { CommandQueue } from "./operator-commands.js";
import { confirm, issue, next, noCommands } from "./operator-commands.js";

/** How an attempt ended; reported once for each attempt that is not killed. */
export type AttemptEnd =
  | { kind: "finished"; attempt: number; result: ProofResult }
  /** No result of the attempt has arrived, and none will. */
  | { kind: "lost"; attempt: number }
  /** The lane lists the work to adopt, and never answers. */
  | { kind: "ignored"; attempt: number }
  /** The lane has taken another attempt under the lease. */
  | { kind: "taken"; attempt: number }
  /** The lane could not be reached. */
  | { kind: "missed"; attempt: number };

/** Work that a lane proves for another door, or of which it holds the proof. */
export interface AdoptableWork extends Adoptable {
  /** The proof that runs; null while the inputs are verified, and when the proof is held. */
  readonly proof: RunningProof | null;
}

/** How waiting for a report of a device ended. */
export type Awaited =
  | { readonly kind: "reported"; readonly report: LaneReport }
  /** The signal aborted before such a report. */
  | { readonly kind: "aborted" }
  /** The device has gone. `why`: for people. */
  | { readonly kind: "gone"; readonly why: string };

/** What an adopted attempt proves, and when it ends for this door. */
interface Adopted {
  readonly work: GroupWork;
  readonly digest: string;
  readonly fenceAtMs: number;
}

/** A device as the operator sees and commands it. */
export interface OperatedDevice {
  readonly deviceId: string;
  readonly report: LaneReport;
  /** Resolves with the report that confirms the command. */
  order(command: OperatorCommand, signal: AbortSignal): Promise<Awaited>;
  /** Resolves once no proof runs and no prover is being stopped or set up. */
  untilQuiet(signal: AbortSignal): Promise<Awaited>;
}

/** A text for people that says why the device takes no work. */
export function whyDown({ deviceId, report: { phase, isDrained } }: OperatedDevice): string {
  if (isDrained) return `device ${deviceId} is drained`;
  const detail = phaseDetail(phase);
  return `device ${deviceId} is ${phase.kind}${detail === "" ? "" : `: ${detail}`}`;
}

export class LaneHandle implements OperatedDevice {
  private belief: LaneBelief = unknownLane;
  private commands: CommandQueue = noCommands;
  /** The assignment, to send again and for forecasts; undefined without one that goes on. */
  private assignment: Assignment | undefined;
  private adoptions: readonly Adoption[] = [];
  /** Digest of an adopted attempt that has ended since the newest report; undefined for none. */
  private endedDigest: string | undefined;
  /** Functions called after each new report, and once the lane has gone. */
  private readonly watchers = new Set<() => void>();
  /** Why the lane has gone; undefined while it is there. */
  private goneBecause: string | undefined;

  /**
   * @param costs the predicted durations of proofs on the lane, as its reports say
   * @param arrival number of the lane in the order in which lanes came
   */
  constructor(
    private readonly link: LaneLink,
    readonly costs: LaneCosts,
    readonly arrival: number,
  ) {}

  get deviceId(): string {
    return this.link.deviceId;
  }

  /** Messages of a merge that its prover takes; 0: it cannot merge. */
  get messagesMax(): number {
    return this.report.description?.messagesMax ?? 0;
  }

  /** Cores of its provers; undefined where they are not known. */
  get cores(): number | undefined {
    return this.link.cores;
  }

  /** The newest report of the lane. */
  get report(): LaneReport {
    return this.belief.report;
  }

  get duty(): LaneDuty {
    return this.belief.duty;
  }

  /** Whether the lane takes no attempt, now or soon, and ends none that is known of. */
  get isDown(): boolean {
    return this.duty.kind === "down" || this.report.phase.kind === "failed";
  }

  /** Takes a message of the lane. Returns how attempts on it have ended; mostly an empty list. */
  hear(message: FromLink, nowMs: number): AttemptEnd[] {
    const { sequence } = this.belief;
    const isAdopted = (attempt: number) => this.adoption(attempt) !== undefined;
    const { belief, effects } = hear(this.belief, message, isAdopted);
    this.belief = belief;
    const ends = effects.flatMap((effect) => this.apply(effect, nowMs));
    const ended = message.kind === "ended" ? this.adoption(message.attempt) : undefined;
    if (message.kind === "ended" && ended !== undefined) {
      this.endedDigest = ended.message.digest;
      this.forget(message.attempt);
      ends.push({ kind: "finished", attempt: message.attempt, result: message.result });
    }
    if (belief.sequence > sequence) {
      this.costs.models = belief.report.costs;
      this.endedDigest = undefined;
      const { adoptions, resend, lost, ignored } = review(this.adoptions, belief.report, nowMs);
      this.adoptions = adoptions;
      for (const again of resend) this.link.send(again);
      for (const attempt of lost) ends.push({ kind: "lost", attempt });
      for (const attempt of ignored) ends.push({ kind: "ignored", attempt });
      this.commands = confirm(this.commands, belief.report.commandsDone);
      this.sendCommand();
      this.wakeWatchers();
    }
    this.forgetAssignment();
    return ends;
  }

  /**
   * Notes that the lane has gone, and ends what waits for its reports. Returns how attempts on it
   * have ended: its own counts as one death of a prover, what was only adopted is lost.
   */
  end(why: string): AttemptEnd[] {
    this.goneBecause = why;
    this.wakeWatchers();
    const ends = this.adoptions.map(
      ({ message: { attempt } }) => ({ kind: "lost", attempt }) as const,
    );
    const { duty } = this.belief;
    if (duty.kind !== "assigned") return ends;
    const detail = `${why}; device ${this.deviceId} has gone with the attempt`;
    const died = { kind: "failed", reason: "prover_died", detail, deaths: 1 } as const;
    const result = { ...died, isLaneGone: true };
    return [...ends, { kind: "finished", attempt: duty.attempt, result }];
  }

  /** What may be adopted: not what this door has on the lane already. */
  adoptable(nowMs: number): AdoptableWork[] {
    const { phase, adoptable } = this.report;
    const isOwn = phase.kind === "proving" && phase.attempt !== null;
    return adoptable.flatMap((each) => {
      const { digest, fenceAtMs, isRunning } = each;
      if (nowMs >= fenceAtMs) return [];
      if (isRunning && (isOwn || digest === this.endedDigest)) return [];
      if (this.adoptions.some(({ message }) => message.digest === digest)) return [];
      return [{ ...each, proof: isRunning && phase.kind === "proving" ? phase.proof : null }];
    });
  }

  /** Adopts work on the lane under a number of this door; the caller then calls `sendAdoption`. */
  adopt(attempt: number, { work, digest, fenceAtMs }: Adopted, nowMs: number): void {
    const message: AdoptMessage = { kind: "adopt", attempt, work, digest, fenceAtMs };
    this.adoptions = [...this.adoptions, { message, sends: 1, sentAtMs: nowMs }];
  }

  /** Sends the adoption, unless it has ended or been killed since. */
  sendAdoption(attempt: number): void {
    const adoption = this.adoption(attempt);
    if (adoption !== undefined) this.link.send(adoption.message);
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

  /**
   * Kills an attempt of this door; `hear` does not return its end. Of an adopted one the lane only
   * forgets this door. Throws when the attempt is neither adopted nor assigned.
   */
  kill(attempt: number, reason: StopReason): void {
    if (this.adoption(attempt) === undefined) this.belief = abandon(this.belief, reason);
    this.forget(attempt);
    this.forgetAssignment();
    this.sendKill(attempt, reason);
  }

  /**
   * The instant at which the lane is predicted to take work again, by how far the running proof's
   * duration is above the median, in standard deviations; Infinity while the lane is down.
   */
  freeAt(nowMs: number): (deviations: number) => number {
    if (this.isDown) return () => Infinity;
    const proof = this.expectedProof(nowMs);
    if (proof === undefined) return () => nowMs;
    const duration = this.costs.of(proof.shape);
    return (deviations) => proof.startedAtMs + quantileOf(duration, deviations);
  }

  /** The proof that runs, or else the one that will; undefined when the lane is to make none. */
  private expectedProof(nowMs: number): RunningProof | undefined {
    const { duty, report } = this.belief;
    const { phase } = report;
    if (duty.kind === "assigned" && this.assignment !== undefined) {
      const isProving = phase.kind === "proving" && phase.attempt === duty.attempt;
      const whole = { startedAtMs: nowMs, shape: shapeOf(this.assignment.work) };
      return (isProving ? phase.proof : null) ?? whole;
    }
    if (duty.kind !== "taken" || phase.kind !== "proving") return undefined;
    // How large another door's work is, its proof tells first.
    return phase.proof ?? { startedAtMs: nowMs, shape: smallestShape };
  }

  /** It holds all the work, which an idle lane must not keep. */
  private forgetAssignment(): void {
    if (this.belief.duty.kind !== "assigned") this.assignment = undefined;
  }

  private adoption(attempt: number): Adoption | undefined {
    return this.adoptions.find(({ message }) => message.attempt === attempt);
  }

  private forget(attempt: number): void {
    this.adoptions = this.adoptions.filter(({ message }) => message.attempt !== attempt);
  }

  order(command: OperatorCommand, signal: AbortSignal): Promise<Awaited> {
    this.commands = issue(this.commands, command);
    const { lastNumber } = this.commands;
    if (this.commands.pending.length === 1) this.sendCommand();
    return this.until(({ commandsDone }) => commandsDone >= lastNumber, signal);
  }

  untilQuiet(signal: AbortSignal): Promise<Awaited> {
    const isBusy = ({ phase: { kind } }: LaneReport) =>
      kind === "proving" || kind === "stopping" || kind === "starting";
    return this.until((report) => !isBusy(report), signal);
  }

  private wakeWatchers(): void {
    for (const look of [...this.watchers]) look();
  }

  private apply(effect: BeliefEffect, nowMs: number): AttemptEnd[] {
    switch (effect.kind) {
      case "deliver": {
        const { attempt, result } = effect;
        return [{ kind: "finished", attempt, result }];
      }
      case "lost":
        return this.adoptOwn(effect.attempt, nowMs) ? [] : [effect];
      case "taken":
      case "missed":
        return [effect];
      case "resend_assign":
        this.sendAssignment();
        return [];
      case "kill":
        this.sendKill(effect.attempt, effect.reason);
        return [];
      default:
        return assertNever(effect);
    }
  }

  /**
   * Adopts the assigned attempt's own proof, if the lane holds it: then only its result got lost. The
   * attempt goes on, for its groups may be past the deadline by which a new one would have to start.
   */
  private adoptOwn(attempt: number, nowMs: number): boolean {
    const { assignment, report } = this;
    const isHeld = report.adoptable.some(
      ({ digest, fenceAtMs, isRunning }) =>
        digest === assignment?.digest && !isRunning && nowMs < fenceAtMs,
    );
    if (assignment === undefined || !isHeld) return false;
    this.adopt(attempt, assignment, nowMs);
    this.sendAdoption(attempt);
    return true;
  }

  private sendKill(attempt: number, reason: StopReason): void {
    this.link.send({ kind: "kill", lease: this.report.lease, attempt, reason });
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
