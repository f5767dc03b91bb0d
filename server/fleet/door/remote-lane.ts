/**
 * One lane of a lane host, as a link of the dispatcher: translates messages both ways, keeps the
 * work of its attempts while the host may fetch it, and holds announcements back while the result of
 * an attempt is fetched and verified. So the dispatcher hears the result before it hears that the
 * lane is free.
 */
import type { Clock } from "../../clock.js";
import { assertNever } from "../../errors.js";
import type { FromLink, LaneLink, LaneReport, ToLane } from "../../lane/lane-messages.js";
import type { ProofResult, StopReason } from "../../work/group.js";
import { proofSystemOf } from "../../work/prover-description.js";
import { encodeWork } from "../wire/codec.js";
import type { HostFault } from "./door-metrics.js";
import type { Ending, GivenAttempt, Taking } from "./given-attempt.js";
import { isOver, release } from "./given-attempt.js";
import type { HostMessage } from "./host-wire.js";
import type { Kept } from "./kept-bytes.js";
import type { RemoteResult } from "../wire/messages.js";

/** An assignment is sent again after so long, when the lane does not show that it has it. */
const RESEND_MS = 300;
/** A lane that shows no sign of an assignment for so long, and after so many sends, ignores it. */
const IGNORED_MS = 1000;
const IGNORED_SENDS = 3;
/**
 * A lane that ends two attempts in a row without a result gets none for so long, and twice as long
 * after each further one: else it could take a group again and again until its deadline.
 */
const REST_MS = 250;
const REST_MS_MAX = 10_000;
/**
 * So much later is a fence for the host. The door ends what is past its own, and takes no result then; the host's
 * clock is for a door that has gone. Translated, a fence is up to 24 ms early.
 */
export const HOST_FENCE_MS = 100;
/** Attempts that are remembered after their end: a late result of one of them is no fault. */
const ENDED_MAX = 64;

export interface RemoteLaneModules {
  clock: Clock;
  /** Sends to the host; the message may get lost. */
  post(order: HostMessage): void;
  /** Sends to the host. Resolves to whether the host is known not to get the message. */
  postOrMiss(order: HostMessage): Promise<boolean>;
  /** The instant by the host's clock; undefined while that is not known. */
  toHost(instantMs: number): number | undefined;
  /** Keeps bytes for the host to fetch; undefined when no memory is free. */
  keep(bytes: Uint8Array): Kept | undefined;
  /** Sends to the dispatcher. */
  emit(message: FromLink): void;
  /** Called when the lane ignores an assignment, before that ends: its host gets none for a while. */
  ignored(): void;
  /** Notes what no correct host does. */
  fault(fault: HostFault, detail: string): void;
  /** Resolves to the verified result. The signal stops it; what it then returns is ignored. */
  take(remote: RemoteResult, attempt: GivenAttempt, taking: Taking): Promise<ProofResult>;
}

export class RemoteLane implements LaneLink {
  /** What was announced last, as this door's dispatcher reads it. */
  report: LaneReport | undefined;
  private readonly attempts = new Map<number, GivenAttempt>();
  private readonly ended: number[] = [];
  /** Attempts that go on at the lane without this door, which drains. */
  private readonly leftRunning = new Set<number>();
  /** What the dispatcher heard last. */
  private passed: LaneReport | undefined;
  private announcements = 0;
  /** Whether the newest report was not passed on yet. */
  private isHeldBack = false;
  /** Attempts in a row that the lane ended without a result, and until when it rests for that. */
  private drops = 0;
  private restUntilMs = -Infinity;
  private restCause = "";
  private isGone = false;
  /** Called once the host has gone and the results that are here are taken. */
  private taken = () => {};

  /**
   * @param device the host's name of the device
   * @param deviceId the door's name of it, `<host>.<device>`
   */
  constructor(
    readonly device: string,
    readonly deviceId: string,
    private readonly modules: RemoteLaneModules,
  ) {}

  /** Name of its proof system; undefined before it has described itself. */
  get system(): string | undefined {
    const description = this.report?.description ?? undefined;
    return description && proofSystemOf(description);
  }

  /** How many attempts it has. */
  get load(): number {
    return this.attempts.size;
  }

  /** How many of them end if the host goes now: all but those whose result is here. */
  get atHost(): number {
    return [...this.attempts.values()].filter(({ ending }) => ending?.isHere !== true).length;
  }

  /** Numbers of its attempts, and of those that have ended lately. */
  get numbers(): readonly number[] {
    return [...this.attempts.keys(), ...this.ended];
  }

  send(message: ToLane): void {
    if (this.isGone) return message.kind === "kill" ? this.drop(message.attempt) : undefined;
    switch (message.kind) {
      case "assign":
        return this.assign(message);
      case "adopt":
        return this.adopt(message);
      case "kill": {
        const { lease, attempt, reason } = message;
        this.forget(attempt);
        // As after the death of this door: the next one adopts the proof, or it ends at its fence.
        if (reason === "draining") this.leftRunning.add(attempt);
        this.postKill(lease, attempt, reason);
        return this.passOn();
      }
      case "command": {
        const { number, command } = message;
        return this.modules.post({ kind: "command", device: this.device, number, command });
      }
      default:
        return assertNever(message);
    }
  }

  /** Takes the newest report of the host. */
  announced(report: LaneReport): void {
    this.report = report;
    this.isHeldBack = true;
    for (const attempt of [...this.attempts.values()]) {
      const isIdle = report.phase.kind === "idle" && attempt.ending === undefined;
      if (isIdle && this.isIgnored(attempt)) this.takeBack(attempt, report.lease);
    }
    this.passOn();
  }

  /**
   * Not while one of the sends may still be on its way: after a standstill of the engine's server, the lane's
   * first announcements are older than what it was sent.
   */
  private isIgnored({ givenAtMs, sentAtMs, sends }: GivenAttempt): boolean {
    const nowMs = this.modules.clock.nowMs();
    const isLong = nowMs - givenAtMs >= IGNORED_MS && nowMs - sentAtMs >= RESEND_MS;
    return isLong && sends >= IGNORED_SENDS;
  }

  /** The lane gets no attempt until then, or for longer where it rests already. */
  rest(untilMs: number, cause: string): void {
    this.noteRest(untilMs, cause);
    if (this.report?.phase.kind === "idle") this.unreachable(this.restCause);
  }

  private noteRest(untilMs: number, cause: string): void {
    if (untilMs < this.restUntilMs) return;
    this.restUntilMs = untilMs;
    this.restCause = cause;
  }

  /** Its host is left out: what the lane proves for this door ends, as nobody would take it. */
  leftOut(): void {
    const { phase, lease = 0 } = this.report ?? {};
    if (phase?.kind !== "proving" || phase.attempt === null) return;
    this.postKill(lease, phase.attempt, "cancelled");
  }

  /** The lane cannot be reached for now; the next announcement shows it as it is. */
  unreachable(cause: string): void {
    const { passed } = this;
    if (passed === undefined) return;
    const retryAtMs = this.modules.clock.nowMs();
    this.announce({ ...passed, phase: { kind: "failed", cause, retryAtMs } });
  }

  /**
   * The host has gone: nothing more is sent, least of all to its next run. Results that are here are
   * still taken, the other attempts are forgotten.
   */
  goneWithHost(why: string): void {
    this.isGone = true;
    this.isHeldBack = false;
    for (const { number, ending } of [...this.attempts.values()]) {
      if (ending?.isHere !== true) this.forget(number);
    }
    const adopted = [...this.attempts.values()].flatMap(({ given }) =>
      given.kind === "adopted" ? [given.digest] : [],
    );
    const { passed } = this;
    // Nothing else of the lane may be adopted.
    const adoptable = passed?.adoptable.filter(({ digest }) => adopted.includes(digest)) ?? [];
    if (passed !== undefined) this.passed = { ...passed, adoptable };
    this.unreachable(why);
  }

  /** Calls `taken` once no result is taken any more, of a lane whose host has gone. */
  whenTaken(taken: () => void): void {
    this.taken = taken;
    this.noteTaken();
  }

  /** Takes a result of the host. False when the lane was never given this attempt. */
  endedAt(host: RemoteResult, number: number): boolean {
    const attempt = this.attempts.get(number);
    if (attempt === undefined) return this.ended.includes(number);
    if (attempt.ending !== undefined) return true;
    release(attempt);
    const stop = new AbortController();
    const isHere = host.kind !== "proved" || host.proof.inline !== undefined;
    const ending: Ending = { stop, isHere };
    this.attempts.set(number, { ...attempt, ending });
    const arrived = () => {
      ending.isHere = true;
    };
    void this.modules.take(host, attempt, { signal: stop.signal, arrived }).then((result) => {
      if (this.attempts.get(number)?.ending !== ending) return;
      this.forget(number);
      this.drops = 0;
      this.modules.emit({ kind: "ended", attempt: number, result });
      this.passOn();
      this.noteTaken();
    }); // `take` never rejects
    return true;
  }

  /** Forgets the attempts, as the lane has gone. */
  close(): void {
    this.taken = () => {};
    for (const number of [...this.attempts.keys()]) this.forget(number);
    this.isHeldBack = false;
  }

  private assign({
    lease,
    attempt: number,
    assignment,
  }: Extract<ToLane, { kind: "assign" }>): void {
    const { clock, keep } = this.modules;
    const known = this.attempts.get(number);
    const isSoon = known !== undefined && clock.nowMs() - known.sentAtMs < RESEND_MS;
    // One that has ended is not sent again by what the dispatcher hears meanwhile.
    if (isSoon || known?.ending !== undefined || this.ended.includes(number)) return;
    const deadlineAtMs = this.modules.toHost(assignment.deadlineAtMs);
    const fenceAtMs = this.modules.toHost(assignment.fenceAtMs + HOST_FENCE_MS);
    if (deadlineAtMs === undefined || fenceAtMs === undefined) return;
    const steps = assignment.steps.flatMap(({ untilAtMs, weight }) => {
      const hostAtMs = this.modules.toHost(untilAtMs);
      return hostAtMs === undefined ? [] : [{ untilAtMs: hostAtMs, weight }];
    });
    const { work } = assignment;
    const kept = known?.given.kind === "assigned" ? known.given.kept : keep(encodeWork(work));
    // Without memory the lane never gets it. Not at once: the dispatcher is still assigning.
    if (kept === undefined) return queueMicrotask(() => this.unsent(number));
    const given = { kind: "assigned", lease, kept } as const;
    this.note({ number, work, fenceAtMs: assignment.fenceAtMs, given });
    // The host fetches the bytes if it has not got the first message.
    const blob = known === undefined ? kept.blob : { ...kept.blob, inline: undefined };
    const { device } = this;
    const forHost = { ...assignment, work: blob, deadlineAtMs, fenceAtMs, steps };
    const order = { kind: "assign", device, lease, attempt: number, assignment: forHost } as const;
    if (known !== undefined) return this.modules.post(order);
    void this.modules.postOrMiss(order).then((isMissed) => {
      if (isMissed) this.missed(number);
    });
  }

  /** The host is not there, which is not known of it yet: the attempt is no death, and goes back. */
  private missed(number: number): void {
    const attempt = this.attempts.get(number);
    if (attempt === undefined || this.isGone) return;
    this.forget(number);
    this.dropped();
    this.modules.emit({ kind: "missed", attempt: number });
  }

  /** No memory is free for the work, for which the host has no fault: the attempt goes back. */
  private unsent(number: number): void {
    if (!this.isGone) this.modules.emit({ kind: "missed", attempt: number });
  }

  private adopt({ attempt: number, digest, work, fenceAtMs }: Extract<ToLane, { kind: "adopt" }>) {
    const { clock } = this.modules;
    const known = this.attempts.get(number);
    const isSoon = known !== undefined && clock.nowMs() - known.sentAtMs < RESEND_MS;
    const hostFenceAtMs = this.modules.toHost(fenceAtMs + HOST_FENCE_MS);
    if (isSoon || known?.ending !== undefined || hostFenceAtMs === undefined) return;
    this.note({ number, work, fenceAtMs, given: { kind: "adopted", digest } });
    const { device } = this;
    this.modules.post({ kind: "adopt", device, attempt: number, digest, fenceAtMs: hostFenceAtMs });
  }

  private note(
    attempt: Omit<GivenAttempt, "system" | "sends" | "givenAtMs" | "sentAtMs" | "ending">,
  ): void {
    const sentAtMs = this.modules.clock.nowMs();
    const known = this.attempts.get(attempt.number);
    const { givenAtMs = sentAtMs, system = this.system ?? "", sends = 0 } = known ?? {};
    const times = { sends: sends + 1, givenAtMs, sentAtMs };
    const given = { ...attempt, system, ...times, ending: undefined };
    this.attempts.set(attempt.number, given);
  }

  /** Passes the newest report on, unless a result has to be heard before it. */
  private passOn(): void {
    const { report } = this;
    const isEnding = [...this.attempts.values()].some(({ ending }) => ending !== undefined);
    if (!this.isHeldBack || isEnding || report === undefined) return;
    this.isHeldBack = false;
    for (const attempt of [...this.attempts.values()]) {
      if (!isOver(attempt, report)) continue;
      this.forget(attempt.number);
      if (attempt.given.kind === "assigned" && report.lease > attempt.given.lease) this.dropped();
    }
    const isResting = this.modules.clock.nowMs() < this.restUntilMs;
    if (!isResting || report.phase.kind !== "idle") return this.announce(report);
    const { restCause: cause, restUntilMs: retryAtMs } = this;
    this.announce({ ...report, phase: { kind: "failed", cause, retryAtMs } });
  }

  /** Ends an assignment that an idle lane ignores, as a death: it is tried once more elsewhere. */
  private takeBack({ number, given }: GivenAttempt, lease: number): void {
    if (given.kind !== "assigned" || given.lease !== lease) return;
    const { device, modules } = this;
    this.forget(number);
    modules.post({ kind: "kill", device, lease, attempt: number, reason: "fence" });
    const detail = `device ${this.deviceId} ignored the attempt for ${IGNORED_MS / 1000} s`;
    modules.fault("dropped", detail);
    modules.ignored();
    const result = { kind: "failed", reason: "prover_died", detail, deaths: 1 } as const;
    modules.emit({ kind: "ended", attempt: number, result });
  }

  /** The lane has ended an attempt without a result. Once, its result may have been lost. */
  private dropped(): void {
    this.drops++;
    if (this.drops < 2) return;
    const restMs = Math.min(REST_MS_MAX, REST_MS * 2 ** Math.min(this.drops - 2, 10));
    const cause = `it ended ${this.drops} attempts in a row without a result`;
    this.noteRest(this.modules.clock.nowMs() + restMs, cause);
    const { device, drops } = this;
    this.modules.fault("dropped", `device ${device} ended ${drops} attempts without a result`);
  }

  /** Has the lane end the attempt, unless that is to go on without this door. */
  private postKill(lease: number, attempt: number, reason: StopReason): void {
    if (this.leftRunning.has(attempt)) return;
    this.modules.post({ kind: "kill", device: this.device, lease, attempt, reason });
  }

  /** Nobody waits for the result, which is here though the host has gone. */
  private drop(number: number): void {
    this.forget(number);
    // Not at once: the dispatcher is in the middle of something.
    queueMicrotask(() => this.noteTaken());
  }

  /** The host has gone, and no result of it is taken any more. */
  private noteTaken(): void {
    if (!this.isGone || this.attempts.size > 0) return;
    const { taken } = this;
    this.taken = () => {};
    taken();
  }

  private announce(report: LaneReport): void {
    this.passed = report;
    this.announcements++;
    this.modules.emit({ ...report, kind: "announce", sequence: this.announcements });
  }

  private forget(number: number): void {
    const attempt = this.attempts.get(number);
    if (attempt === undefined) return;
    this.attempts.delete(number);
    this.ended.push(number);
    if (this.ended.length > ENDED_MAX) this.ended.shift();
    release(attempt);
    attempt.ending?.stop.abort();
  }
}
