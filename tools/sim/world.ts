/**
 * One simulated run: the real sessions, scheduler and lanes on virtual time, under nodes, provers
 * and messages that a seed makes misbehave. Broken promises are collected, not thrown, so that a
 * replay shows all of them with the events that led there.
 */
import { limits } from "../../server/limits.js";
import { MemoryBudget } from "../../server/memory-budget.js";
import { createMetrics } from "../../server/metrics/metrics.js";
import type { NextAttempt } from "../../server/schedule/dispatcher.js";
import type { OperatorCommand } from "../../server/lane/lane-messages.js";
import { LocalLanes } from "../../server/lane/local-lanes.js";
import type { OperatedDevice } from "../../server/schedule/lane-handle.js";
import { Schedules } from "../../server/schedule/schedules.js";
import { Admission } from "../../server/admission/admission.js";
import { sessionMessage } from "../../server/rpc/messages/session-message.js";
import { isWaiting } from "../../server/session/session.js";
import type { Session } from "../../server/session/session.js";
import type { Submission } from "../../server/work/submission.js";
import { calibrationOfTwo, calibrationRoot } from "./calibration.js";
import { watchedSource } from "../harness/processes/watched-source.js";
import { checkOutcomes } from "./check-outcomes.js";
import { countedClock } from "./counted-clock.js";
import { IdleWatch } from "./idle-watch.js";
import { GroupSource, NodeEpochs } from "./work/group-source.js";
import { Random } from "./random.js";
import { simProverOptions } from "./prover-options.js";
import { openReaders } from "./result-reader.js";
import type { ResultReader } from "./result-reader.js";
import { workName } from "./work/sim-keys.js";
import { SimProver } from "./sim-prover.js";
import type { ProverWitness } from "./sim-prover.js";
import { isCalm, unreliablePost } from "./unreliable-post.js";
import { VirtualClock } from "./virtual-clock.js";
import { drawWeather, laneOptionsOf } from "./weather.js";
import type { Weather } from "./weather.js";

const SLOT_MS = 4000;
const SLOTS = 6;
const EXPIRE_EVERY_MS = 250;
const DRAIN_MS = 2000;
/** After the last submission: the longest fence, a retention, and time for all to be replaced. */
const QUIET_MS = 20_000;

export interface Report {
  seed: number;
  violations: string[];
  accepted: number;
  skipped: number;
  groups: number;
  endings: Record<string, number>;
  trace: string[];
}

/** One message, or several to merge, and who submitted work on it. */
interface Known {
  submissions: Submission[];
  /** As the scheduler last handed it out. */
  mayStartLate: boolean;
}

export class World implements ProverWitness {
  private readonly random: Random;
  private readonly clock = new VirtualClock();
  private readonly serviceTimers = new Set<object>();
  private readonly weather: Weather;
  private readonly source: GroupSource;
  private readonly epochs: NodeEpochs;
  private readonly lanes: LocalLanes;
  private readonly schedules: Schedules;
  private readonly admission: Admission;
  private readonly provers = new Set<SimProver>();
  private readonly byName = new Map<string, Known>();
  /** Provers that work for nobody, since when. */
  private readonly unwanted = new Map<SimProver, number>();
  private readonly accepted = new Map<string, Submission>();
  private readonly readers: ResultReader[] = [];
  private readonly idle = new IdleWatch();
  private readonly metrics = createMetrics();
  private readonly memory = new MemoryBudget(limits.heldBytesMax);
  private requests = 0;
  private readonly report: Report;

  constructor(
    seed: number,
    private readonly options: { isTraced: boolean } = { isTraced: false },
  ) {
    this.random = new Random(seed);
    this.weather = drawWeather(this.random);
    this.source = new GroupSource(this.random, this.weather);
    this.epochs = new NodeEpochs(this.random);
    const endings = {};
    this.report = { seed, violations: [], accepted: 0, skipped: 0, groups: 0, endings, trace: [] };
    const clock = countedClock(this.clock, this.serviceTimers);
    const { metrics } = this;
    const ids = Array.from({ length: this.weather.devices }, (_, at) => `cpu${at}`);
    this.lanes = new LocalLanes(
      ids.map((id) => ({
        id,
        startProver: () => this.startProver(id),
        calibration: this.weather.isCalibrated ? calibrationOfTwo : undefined,
      })),
      laneOptionsOf(this.weather),
      { clock, log, metrics, post: unreliablePost(this.weather, this.random, this.clock) },
    );
    const sourceOf = watchedSource((attempt) => this.taken(attempt));
    this.schedules = new Schedules({}, { clock, metrics, sourceOf });
    const modules = { clock, log, metrics, schedules: this.schedules, memory: this.memory };
    this.admission = new Admission({ instance: "00000000000000aa" }, modules);
    this.trace(`weather ${JSON.stringify(this.weather)}`);
  }

  async run(): Promise<Report> {
    this.lanes.open(this.schedules);
    const expire = () => {
      this.admission.expire();
      this.clock.at(this.clock.nowMs() + EXPIRE_EVERY_MS, expire);
    };
    expire();
    for (let slot = 1; slot <= SLOTS; slot++) this.planSlot(slot);
    const each = () => this.check();
    await this.clock.runUntil(SLOTS * SLOT_MS + QUIET_MS, each);
    if (this.random.chance(0.5)) this.submit(SLOTS + 9, `node-0`);
    const drained = this.admission.drain(DRAIN_MS).then(() => {
      this.schedules.close();
      return this.lanes.close();
    });
    await this.clock.runUntil(this.clock.nowMs() + 2 * DRAIN_MS, each);
    await drained;
    await this.clock.runUntil(this.clock.nowMs() + QUIET_MS + limits.retentionMs, each);
    this.checkQuiet();
    return this.report;
  }

  started(prover: SimProver): void {
    this.provers.add(prover);
    const alive = [...this.provers].filter((each) => each.device === prover.device && each.isAlive);
    if (alive.length > 2) this.violation(`${alive.length} provers live on ${prover.device}`);
    this.trace(`${prover.device}: prover starts`);
  }

  proofStarted(prover: SimProver, name: string): void {
    const nowMs = this.clock.nowMs();
    const others = [...this.provers].filter(
      (each) => each !== prover && each.device === prover.device && each.isProving && each.isAlive,
    );
    if (others.length > 0) this.violation(`two living provers prove on ${prover.device}`);
    if (name === calibrationRoot) return;
    const known = this.byName.get(name);
    if (known === undefined) return this.violation("a proof of a group that nobody submitted");
    // The one with the most time of those that share the proof.
    const latest = (of: (submission: Submission) => number) =>
      Math.max(...known.submissions.map(of));
    const deadlineAtMs = latest((each) => each.deadlineAtMs);
    const fenceAtMs = latest((each) => each.fenceAtMs);
    if (nowMs >= deadlineAtMs && !known.mayStartLate) {
      this.violation(`a proof started ${nowMs - deadlineAtMs} ms after its deadline`);
    }
    if (nowMs >= fenceAtMs) this.violation("a proof started after its fence");
    const ids = known.submissions.map(({ requestId }) => requestId);
    this.trace(`${prover.device}: proof for ${ids.join()}`);
  }

  ended(prover: SimProver): void {
    this.provers.delete(prover);
    this.trace(`${prover.device}: prover has ended`);
  }

  private taken(attempt: NextAttempt): void {
    const known = this.byName.get(workName(attempt.work));
    if (known !== undefined) known.mayStartLate = attempt.isFirstOfSession || attempt.isRetry;
  }

  private planSlot(slot: number): void {
    const startMs = slot * SLOT_MS;
    const { weather, random, clock } = this;
    for (let node = 0; node < weather.nodes; node++) {
      clock.at(startMs + random.between(1500, 1700), () => this.submit(slot, `node-${node}`));
      const again = random.between(1700, 3900);
      if (random.chance(0.3)) clock.at(startMs + again, () => this.submit(slot, `node-${node}`));
    }
    const fault = (rate: number, happens: (prover: SimProver) => void) => {
      if (!random.chance(rate)) return;
      clock.at(startMs + random.between(0, SLOT_MS), () => {
        const victims = [...this.provers].filter(({ isAlive }) => isAlive);
        if (victims.length > 0) happens(random.pick(victims));
      });
    };
    for (let device = 0; device < weather.devices; device++) {
      fault(weather.kills, (prover) => prover.die("signal SIGKILL"));
      fault(weather.silences, (prover) => prover.fallSilent());
      const role = random.pick(["active", "standby"] as const);
      fault(0.03, () =>
        this.order(random.pick(this.schedules.devices()), { kind: "restart", role }),
      );
      fault(0.03, () => this.drainForAWhile());
    }
    if (random.chance(0.2)) {
      clock.at(startMs + random.between(0, SLOT_MS), () => this.cancelSomething());
    }
  }

  private submit(slot: number, nodeId: string): void {
    const { random, clock } = this;
    const nowMs = clock.nowMs();
    const fenceMs = random.chance(0.8) ? 6400 : random.whole(200, 12_000);
    const asked = random.chance(0.6) ? 750 : random.whole(1, 6000);
    const deadlineMs = Math.min(asked, fenceMs);
    const requestId = `${++this.requests}`;
    const count = random.chance(0.02) ? limits.groupsMax + 2 : random.whole(1, 4);
    const submission: Submission = {
      nodeId,
      nodeEpoch: this.epochs.draw(nodeId),
      principal: { name: "sim", quota: {} },
      requestId,
      contentDigest: requestId,
      slot: BigInt(slot),
      priority: random.pick([1, 2, 2, 2, 3]),
      shouldReplace: random.chance(0.2),
      mayShed: random.chance(0.9),
      receivedAtMs: nowMs,
      deadlineAtMs: nowMs + deadlineMs,
      fenceAtMs: nowMs + fenceMs,
      minInputs: random.chance(0.1) ? random.whole(1, 40) : 1,
      steps: [],
      bytes: 1000,
      groups: this.source.draw(count, requestId),
      accepted: { deadlineMs, fenceMs, deadlineSource: 1 },
    };
    this.meet(nodeId);
    const isStale = this.epochs.isStale(submission);
    for (const { work } of submission.groups) {
      const name = workName(work);
      const known = this.byName.get(name) ?? { submissions: [], mayStartLate: false };
      known.submissions.push(submission);
      this.byName.set(name, known);
    }
    const answer = this.epochs.submit(this.admission, submission);
    if (answer === null) return;
    if (isStale) this.violation("an earlier run of a node was answered");
    this.trace(`${nodeId} submits ${requestId}: ${answer.kind}`);
    if (answer.kind === "skipped") {
      this.report.skipped++;
      return;
    }
    this.report.accepted++;
    this.report.groups += count;
    this.accepted.set(answer.accepted.requestId, submission);
    for (const reader of this.readers) if (reader.nodeId === nodeId) reader.awaits(requestId);
    const again = this.epochs.submit(this.admission, submission);
    if (JSON.stringify(again) !== JSON.stringify(answer))
      this.violation("a retry was answered anew");
  }

  /** Opens the readers of a node at its first call. */
  private meet(nodeId: string): void {
    if (this.readers.some((reader) => reader.nodeId === nodeId)) return;
    const options = { clock: this.clock, random: this.random, epochs: this.epochs };
    this.readers.push(...openReaders(nodeId, this.admission.node(nodeId), options));
  }

  private drainForAWhile(): void {
    const device = this.random.pick(this.schedules.devices());
    this.trace(`${device.deviceId}: drained`);
    this.order(device, { kind: "drain", isDrained: true });
    this.clock.at(this.clock.nowMs() + this.random.between(100, 5000), () =>
      this.order(device, { kind: "drain", isDrained: false }),
    );
  }

  private order(device: OperatedDevice, command: OperatorCommand): void {
    void device.order(command, new AbortController().signal); // it never rejects
  }

  private cancelSomething(): void {
    const sessions = this.admission.listSessions();
    if (sessions.length === 0) return;
    const { submission } = this.random.pick(sessions);
    const { nodeId, requestId } = submission;
    const groups = this.random.chance(0.5) ? [] : [0];
    this.trace(`cancels ${requestId} ${groups.length === 0 ? "whole" : "group 0"}`);
    const cancelled = () => sessionMessage(this.admission.cancel(nodeId, requestId, groups));
    if (JSON.stringify(cancelled(), plain) !== JSON.stringify(cancelled(), plain))
      this.violation("a second cancel was answered otherwise");
  }

  private startProver(device: string): SimProver {
    const { random, weather, clock } = this;
    const broken = (what: string) => this.violation(what);
    const options = simProverOptions(device, { random, weather, clock, broken });
    return new SimProver(options, clock, this);
  }

  /** What must hold whenever everything has settled. */
  private check(): void {
    const sessions = this.admission.listSessions();
    const waiting = sessions.filter(isWaiting).map(({ submission }) => submission);
    if (this.idle.isBroken(waiting, this.isIdle, this.clock.nowMs()))
      this.violation("an idle lane beside a queued group");
    if (sessions.length > limits.sessionsInFlightMax) this.violation("too many sessions");
    for (const { state } of sessions)
      if (state.groups.filter(({ kind }) => kind !== "ended").length > limits.groupsMax)
        this.violation("a session has more groups in the queue than the limit");
    const nowMs = this.clock.nowMs();
    for (const { submission } of sessions)
      if (nowMs > submission.fenceAtMs) this.violation("a session lives on after its fence");
    this.checkWanted(sessions, nowMs);
    if (isCalm(this.weather)) this.checkRunning(sessions);
    for (const reader of this.readers) this.report.violations.push(...reader.takeViolations());
  }

  /** A proof is killed when nobody waits for it any more: cancelled, or past the latest fence. */
  private checkWanted(sessions: readonly Session[], nowMs: number): void {
    const wanted = new Set([
      calibrationRoot,
      ...sessions.flatMap(({ state, submission }) =>
        submission.groups.flatMap(({ work }, at) =>
          state.groups[at]?.kind === "ended" ? [] : [workName(work)],
        ),
      ),
    ]);
    for (const prover of this.provers) {
      const { isServing, isProving, name } = prover;
      if (!isServing || !isProving || wanted.has(name)) {
        this.unwanted.delete(prover);
        continue;
      }
      const sinceMs = this.unwanted.get(prover) ?? nowMs;
      this.unwanted.set(prover, sinceMs);
      if (nowMs > sinceMs + this.killWithinMs) this.violation("a proof that nobody waits for");
    }
  }

  /** Whether some lane waits for work. */
  private get isIdle(): boolean {
    return this.schedules.default?.dispatcher.isIdle ?? false;
  }

  /** One of several that wait for a proof may leave: it goes on for the others. */
  private checkRunning(sessions: readonly Session[]): void {
    const attempts = new Set(
      this.lanes.lanes.flatMap(({ phase }) => ("attempt" in phase ? [phase.attempt] : [])),
    );
    // A tree's jobs have numbers of their own, and may wait for a lane.
    const isTree = this.weather.folds.rawsMax !== undefined;
    if (isTree && (attempts.size > 0 || !this.isIdle)) return;
    const groups = sessions.flatMap(({ state }) => state.groups);
    if (groups.some((group) => group.kind === "running" && !attempts.has(group.attempt)))
      this.violation("a group waits for an attempt that no lane works on");
  }

  /** At once; where messages get lost, once a beat has announced the proof and the kill was repeated. */
  private get killWithinMs(): number {
    const { loss, delayMs } = this.weather;
    return loss === 0 ? delayMs : 10_000;
  }

  private checkQuiet(): void {
    const alive = [...this.provers].filter(({ isAlive }) => isAlive).length;
    if (alive > 0) this.violation(`${alive} provers outlive the service`);
    if (this.serviceTimers.size > 0) this.violation(`${this.serviceTimers.size} timers are left`);
    if (this.admission.listSessions().length > 0) this.violation("sessions are left");
    if (this.memory.heldBytes > 0) this.violation(`${this.memory.heldBytes} bytes are still held`);
    for (const reader of this.readers) {
      reader.readAll();
      this.report.violations.push(...reader.takeViolations());
      if (reader.isResumed) continue;
      for (const { ending } of reader.outcomes)
        this.report.endings[ending] = (this.report.endings[ending] ?? 0) + 1;
    }
    for (const broken of checkOutcomes(this.readers, this.accepted)) this.violation(broken);
  }

  private violation(what: string): void {
    this.report.violations.push(`${Math.round(this.clock.nowMs())} ms: ${what}`);
    this.trace(`VIOLATION: ${what}`);
  }

  private trace(what: string): void {
    if (this.options.isTraced) {
      this.report.trace.push(`${String(Math.round(this.clock.nowMs())).padStart(7)} ms  ${what}`);
    }
  }
}

const quiet = () => undefined;
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
const plain = (_key: string, value: unknown) => (typeof value === "bigint" ? String(value) : value);
