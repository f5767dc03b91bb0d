/**
 * One simulated run: the real sessions, scheduler and lanes on virtual time, under nodes, provers
 * and messages that a seed makes misbehave. Broken promises are collected, not thrown, so that a
 * replay shows all of them with the events that led there.
 */
import { create } from "@bufbuild/protobuf";
import { AttestationDataSchema } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Clock } from "../../server/clock.js";
import { limits } from "../../server/limits.js";
import { MemoryBudget } from "../../server/memory-budget.js";
import { createMetrics } from "../../server/metrics.js";
import type { Job } from "../../server/schedule/dispatcher.js";
import { Dispatcher } from "../../server/schedule/dispatcher.js";
import { Aggregator } from "../../server/session/aggregator.js";
import type { DecodedGroup } from "../../server/session/decode-snapshot.js";
import { inputDigest } from "../../server/session/decode-snapshot.js";
import type { Submission } from "../../server/session/sessions.js";
import { LogReader } from "./log-reader.js";
import { Random } from "./random.js";
import { BAD, POISON, proofOf, SimProver } from "./sim-prover.js";
import type { ProverWitness } from "./sim-prover.js";
import { VirtualClock } from "./virtual-clock.js";
import { drawWeather } from "./weather.js";
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

interface Known {
  submission: Submission;
  group: number;
  /** As the scheduler last handed it out. */
  mayStartLate: boolean;
}

export class World implements ProverWitness {
  private readonly random: Random;
  private readonly clock = new VirtualClock();
  private readonly serviceTimers = new Set<object>();
  private readonly weather: Weather;
  private readonly dispatcher: Dispatcher;
  private readonly aggregator: Aggregator;
  private readonly provers = new Set<SimProver>();
  private readonly byRoot = new Map<string, Known>();
  private readonly accepted = new Map<string, Submission>();
  private readonly readers: LogReader[] = [];
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
    const endings = {};
    this.report = { seed, violations: [], accepted: 0, skipped: 0, groups: 0, endings, trace: [] };
    const clock = this.serviceClock();
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const { metrics } = this;
    const ids = Array.from({ length: this.weather.devices }, (_, at) => `cpu${at}`);
    this.dispatcher = new Dispatcher(
      { deviceIds: ids, standbys: this.weather.standbys, residentBytesMax: 3e9 },
      {
        startProver: (device) => this.startProver(device),
        clock,
        log,
        metrics,
        post: (deliver) => this.post(deliver),
      },
    );
    const modules = { clock, log, metrics, dispatcher: this.dispatcher, memory: this.memory };
    this.aggregator = new Aggregator({ instance: "00000000000000aa" }, modules);
    this.trace(`weather ${JSON.stringify(this.weather)}`);
  }

  async run(): Promise<Report> {
    const { queue } = this.aggregator;
    this.dispatcher.start({ next: () => this.nextJob(), offered: () => queue.offered() });
    const expire = () => {
      this.aggregator.expire();
      this.clock.at(this.clock.nowMs() + EXPIRE_EVERY_MS, expire);
    };
    expire();
    for (let slot = 1; slot <= SLOTS; slot++) this.planSlot(slot);
    const each = () => this.check();
    await this.clock.runUntil(SLOTS * SLOT_MS + QUIET_MS, each);
    if (this.random.chance(0.5)) this.submit(SLOTS + 9, `node-0`);
    const drained = this.aggregator.drain(DRAIN_MS).then(() => this.dispatcher.close());
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

  proofStarted(prover: SimProver, root: Uint8Array): void {
    const nowMs = this.clock.nowMs();
    const others = [...this.provers].filter(
      (each) => each !== prover && each.device === prover.device && each.isProving && each.isAlive,
    );
    if (others.length > 0) this.violation(`two living provers prove on ${prover.device}`);
    const known = this.byRoot.get(Buffer.from(root).toString("hex"));
    if (known === undefined) return this.violation("a proof of a group that nobody submitted");
    const { deadlineAtMs, fenceAtMs } = known.submission;
    if (nowMs >= deadlineAtMs && !known.mayStartLate) {
      this.violation(`a proof started ${nowMs - deadlineAtMs} ms after its deadline`);
    }
    if (nowMs >= fenceAtMs) this.violation("a proof started after its fence");
    this.trace(`${prover.device}: proof of ${known.submission.requestId}/${known.group}`);
  }

  ended(prover: SimProver): void {
    this.provers.delete(prover);
    this.trace(`${prover.device}: prover has ended`);
  }

  private nextJob(): Job | undefined {
    const job = this.aggregator.queue.next();
    if (job === undefined) return undefined;
    const known = this.byRoot.get(Buffer.from(job.work.message.root).toString("hex"));
    if (known !== undefined) known.mayStartLate = job.isFirstOfSession || job.isRetry;
    return job;
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
      fault(0.03, () => random.pick(this.dispatcher.devices()).restart(role));
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
      nodeEpoch: BigInt(random.chance(0.05) ? slot : 1),
      principal: { name: "sim", quota: {} },
      requestId,
      contentDigest: requestId,
      slot: BigInt(slot),
      priority: random.pick([1, 2, 2, 2, 3]),
      shouldReplace: random.chance(0.2),
      mayBeCut: random.chance(0.9),
      receivedAtMs: nowMs,
      deadlineAtMs: nowMs + deadlineMs,
      fenceAtMs: nowMs + fenceMs,
      bytes: 1000,
      groups: Array.from({ length: count }, (_, at) => this.group(at, requestId)),
      accepted: { deadlineMs, fenceMs, deadlineSource: 1 },
    };
    submission.groups.forEach(({ work }, group) => {
      const root = Buffer.from(work.message.root).toString("hex");
      this.byRoot.set(root, { submission, group, mayStartLate: false });
    });
    const answer = this.aggregator.submit(submission);
    this.trace(`${nodeId} submits ${requestId}: ${answer.kind}`);
    if (answer.kind === "skipped") {
      this.report.skipped++;
      return;
    }
    this.report.accepted++;
    this.report.groups += count;
    this.accepted.set(answer.accepted.sessionId, submission);
    if (!this.readers.some((reader) => reader.nodeId === nodeId)) {
      const { log } = this.aggregator.node(nodeId);
      const readMs = () => random.whole(1, 900);
      for (const isResumed of [false, true])
        this.readers.push(new LogReader(nodeId, log, { clock, isResumed, readMs }));
    }
    if (this.aggregator.submit(submission) !== answer) this.violation("a retry was answered anew");
  }

  private group(at: number, requestId: string): DecodedGroup {
    const { random } = this;
    const root = new Uint8Array(32);
    Buffer.from(`${requestId}/${at}`).copy(root);
    const raws = random.whole(0, 40);
    const validators = Array.from({ length: raws }, (_, v) => v);
    const signatures = new Uint8Array(raws * 4);
    const keys = new Uint8Array(raws * 4);
    validators.forEach((v) => (keys[v * 4] = v + 1));
    if (raws > 0 && random.chance(this.weather.poison)) signatures[0] = POISON;
    else if (raws > 0 && random.chance(0.1)) signatures[0] = BAD;
    const data = create(AttestationDataSchema, {});
    const message = { root, slot: 1 };
    const childKeys = new Uint8Array([0xc, 0, 0, 1, 0xc, 0, 0, 2]);
    const children = Array.from(
      { length: random.chance(0.2) ? random.whole(1, 2) : 0 },
      (_, at) => {
        const isBad = random.chance(0.2);
        const proof = isBad ? new Uint8Array(3) : proofOf(childKeys);
        return { index: at, validators: [100, 101], keys: childKeys, proof };
      },
    );
    const raw = { validators, keys, signatures };
    const work = { message, raws: raw, children, leftOut: [], logInvRate: 0 };
    const isOverLimit = at >= limits.groupsMax;
    return { data, work, isOverLimit, digest: inputDigest(work) };
  }

  private drainForAWhile(): void {
    const device = this.random.pick(this.dispatcher.devices());
    this.trace(`${device.id}: drained`);
    device.drain(true);
    this.clock.at(this.clock.nowMs() + this.random.between(100, 5000), () => device.drain(false));
  }

  private cancelSomething(): void {
    const live = this.aggregator.liveSessions();
    if (live.length === 0) return;
    const { id, submission } = this.random.pick(live);
    const groups = this.random.chance(0.5) ? [] : [0];
    this.trace(`cancels ${submission.requestId} ${groups.length === 0 ? "whole" : "group 0"}`);
    const once = this.aggregator.cancel(submission.nodeId, id, groups);
    const twice = this.aggregator.cancel(submission.nodeId, id, groups);
    if (JSON.stringify(once, plain) !== JSON.stringify(twice, plain))
      this.violation("a second cancel was answered otherwise");
  }

  private startProver(device: string): SimProver {
    const { random, weather } = this;
    const bornMs = this.clock.nowMs();
    return new SimProver(
      {
        device,
        setupMs: random.between(200, 6000),
        doesStart: !random.chance(weather.startFailures),
        exitMs: random.between(5, 600),
        verifyMs: () => random.between(1, 60),
        proveMs: (raws, children) =>
          (800 + 5 * raws + 0.25 * raws * raws + 2600 * children) *
          random.between(1 / (1 + weather.scatter), 1 + weather.scatter),
        residentBytes: () => 0.5e9 + (this.clock.nowMs() - bornMs) * weather.growth,
      },
      this.clock,
      this,
    );
  }

  private post(deliver: () => void): void {
    const { random, weather, clock } = this;
    const isCalm = weather.loss === 0 && weather.doubling === 0 && weather.delayMs === 0;
    if (isCalm) return queueMicrotask(deliver);
    const send = () => clock.at(clock.nowMs() + random.between(0, weather.delayMs), deliver);
    if (!random.chance(weather.loss)) send();
    if (random.chance(weather.doubling)) send();
  }

  /** The service's own view of time: its timers are counted. */
  private serviceClock(): Clock {
    const { clock, serviceTimers } = this;
    return {
      nowMs: () => clock.nowMs(),
      unixMs: () => clock.unixMs(),
      at(instantMs, callback) {
        const timer = {};
        serviceTimers.add(timer);
        const cancel = clock.at(instantMs, () => {
          serviceTimers.delete(timer);
          callback();
        });
        return () => {
          serviceTimers.delete(timer);
          cancel();
        };
      },
    };
  }

  /** What must hold whenever everything has settled. */
  private check(): void {
    const live = this.aggregator.liveSessions();
    const mayRun = live.some(({ state }) => state.groups.some(({ kind }) => kind === "queued"));
    if (this.dispatcher.isIdle && mayRun) this.violation("an idle lane beside a queued group");
    if (live.length > limits.sessionsInFlightMax) this.violation("too many sessions");
    const nowMs = this.clock.nowMs();
    for (const { submission } of live)
      if (nowMs > submission.fenceAtMs) this.violation("a session lives on after its fence");
    for (const prover of this.provers) {
      const { isServing, isProving, root } = prover;
      const fenceAtMs = this.byRoot.get(root)?.submission.fenceAtMs ?? Infinity;
      if (isServing && isProving && nowMs > fenceAtMs + this.killWithinMs)
        this.violation("a proof runs on after its fence");
    }
    for (const reader of this.readers) this.report.violations.push(...reader.takeViolations());
  }

  /** At once; where messages get lost, once a beat has told of the proof and the kill was repeated. */
  private get killWithinMs(): number {
    const { loss, delayMs } = this.weather;
    return loss === 0 ? delayMs : 10_000;
  }

  private checkQuiet(): void {
    const alive = [...this.provers].filter(({ isAlive }) => isAlive);
    if (alive.length > 0) this.violation(`${alive.length} provers outlive the service`);
    if (this.serviceTimers.size > 0) this.violation(`${this.serviceTimers.size} timers are left`);
    if (this.aggregator.liveSessions().length > 0) this.violation("sessions are left");
    if (this.memory.heldBytes > 0) this.violation(`${this.memory.heldBytes} bytes are still held`);
    const ended = new Map<string, number[]>();
    for (const reader of this.readers) {
      reader.readAll();
      this.report.violations.push(...reader.takeViolations());
      if (reader.isResumed) continue;
      for (const { sessionId, groupIndex, ending } of reader.outcomes) {
        ended.set(sessionId, [...(ended.get(sessionId) ?? []), groupIndex]);
        this.report.endings[ending] = (this.report.endings[ending] ?? 0) + 1;
      }
    }
    for (const [whole, resumed] of pairs(this.readers))
      if (JSON.stringify(whole.seen) !== JSON.stringify(resumed.seen))
        this.violation("a resumed stream differs from an uninterrupted one");
    for (const [sessionId, { groups, requestId }] of this.accepted) {
      const got = (ended.get(sessionId) ?? []).sort((a, b) => a - b);
      const want = [...groups.keys()];
      if (JSON.stringify(got) !== JSON.stringify(want))
        this.violation(`session ${requestId}: groups ended ${got.join()}, not ${want.join()}`);
    }
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

function pairs(readers: readonly LogReader[]): [LogReader, LogReader][] {
  return readers.flatMap((whole, at): [LogReader, LogReader][] => {
    const resumed = readers[at + 1];
    return at % 2 === 0 && resumed !== undefined ? [[whole, resumed]] : [];
  });
}

const plain = (_key: string, value: unknown) => (typeof value === "bigint" ? String(value) : value);
