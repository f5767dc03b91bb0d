/**
 * One simulated upgrade of the prover: real sessions, schedules and lanes on virtual time, with devices of two
 * revisions under load. A seed says how many, and whether and how the next revision fails after its slot.
 */
import { Admission } from "../../server/admission/admission.js";
import { LocalLanes } from "../../server/lane/local-lanes.js";
import { MemoryBudget } from "../../server/memory-budget.js";
import { createMetrics } from "../../server/metrics/metrics.js";
import { totalOf } from "../../server/metrics/metric-table.js";
import { OutcomeStatus } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { Schedules } from "../../server/schedule/schedules.js";
import type { Envelope } from "../../server/work/submission.js";
import { countedClock } from "./counted-clock.js";
import { Random } from "./random.js";
import { plainGroup } from "./work/sim-group.js";
import { workName } from "./work/sim-keys.js";
import { SimProver } from "./sim-prover.js";
import { VirtualClock } from "./virtual-clock.js";

const SLOT_MS = 4000;
const SLOTS = 14;
const SWITCH_SLOT = 5;
const FAULT_SLOT = 8;
const QUIET_MS = 200_000;
const quiet = () => undefined;
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };

/** How the next revision fails from `FAULT_SLOT` on. */
type Fault = "none" | "wrong" | "dies";

export interface UpgradeReport {
  fault: Fault;
  state: string;
  violations: string[];
  /** Groups by revision and status. */
  endings: Record<string, number>;
  /** Shadow proofs by result. */
  shadows: Record<string, number>;
}

export class UpgradeWorld {
  private readonly random: Random;
  private readonly clock = new VirtualClock();
  private readonly timers = new Set<object>();
  private readonly metrics = createMetrics();
  private readonly memory = new MemoryBudget(1e9);
  private readonly schedules: Schedules;
  private readonly admission: Admission;
  private readonly lanes: LocalLanes;
  private readonly provers = new Set<SimProver>();
  private readonly fault: Fault;
  private readonly violations: string[] = [];
  private readonly accepted: { nodeId: string; requestId: string; isAfterReturn: boolean }[] = [];
  private requests = 0;
  /** Of accepted snapshots. */
  private groups = 0;

  constructor(seed: number) {
    const random = new Random(seed);
    this.random = random;
    this.fault = random.pick(["none", "wrong", "dies"] as const);
    const clock = countedClock(this.clock, this.timers);
    const { metrics, memory } = this;
    const ids = ["old", "next"].flatMap((name) =>
      Array.from({ length: random.pick([1, 1, 2]) }, (_, at) => `${name}${at}`),
    );
    const devices = ids.map((id) => ({
      ...{ id, startProver: () => this.startProver(id), calibration: undefined },
    }));
    const options = { standbyBytesMax: Infinity, residentBytesMax: 1e12, refreshShare: 0 };
    const post = <T>(message: T, receive: (message: T) => void) =>
      queueMicrotask(() => receive(message));
    this.lanes = new LocalLanes(devices, options, { clock, log, metrics, post });
    const upgrade = { revision: "next", slot: BigInt(SWITCH_SLOT), shadow: 1 };
    this.schedules = new Schedules({ upgrade, deciders: ["old0"] }, { clock, metrics });
    const modules = { clock, log, metrics, schedules: this.schedules, memory };
    this.admission = new Admission({ instance: "00000000000000aa" }, modules);
  }

  async run(): Promise<UpgradeReport> {
    const { clock, random, admission } = this;
    this.lanes.open(this.schedules);
    const nodes = random.pick([1, 2, 4]);
    for (let slot = 1; slot <= SLOTS; slot++) {
      for (let node = 0; node < nodes; node++) {
        const atMs = slot * SLOT_MS + random.between(0, SLOT_MS);
        clock.at(atMs, () => this.submit(slot, `node-${node}`));
      }
    }
    await clock.runUntil((SLOTS + 1) * SLOT_MS + 20_000, () => this.check());
    const ended = await totalOf(this.metrics.outcomes);
    if (ended !== this.groups) this.violations.push(`${ended} of ${this.groups} groups ended`);
    const state = this.schedules.upgradeView?.state ?? "";
    const endings = this.endings();
    const shadows = await this.shadows();
    await clock.runUntil(clock.nowMs() + QUIET_MS, () => this.check());
    admission.expire();
    await this.drain();
    if (this.memory.heldBytes > 0) this.violations.push(`${this.memory.heldBytes} bytes are held`);
    if (this.timers.size > 0) this.violations.push(`${this.timers.size} timers are left`);
    return { fault: this.fault, state, violations: this.violations, endings, shadows };
  }

  started(prover: SimProver): void {
    this.provers.add(prover);
  }

  proofStarted(): void {
    // What is proved is judged by `check` and by the outcomes.
  }

  ended(prover: SimProver): void {
    this.provers.delete(prover);
  }

  private get isFaulty(): boolean {
    return this.clock.nowMs() >= FAULT_SLOT * SLOT_MS;
  }

  private startProver(device: string): SimProver {
    const { random, clock } = this;
    const revision = device.startsWith("next") ? "next" : "old";
    const isOfNext = revision === "next";
    const prover: SimProver = new SimProver(
      {
        ...{ device, revision, doesStart: true, setupMs: random.between(200, 2000) },
        exitMs: random.between(5, 300),
        verifyMs: () => random.between(1, 60),
        proveMs: () => {
          const tookMs = random.between(200, 1200);
          if (isOfNext && this.isFaulty && this.fault === "dies") {
            clock.at(clock.nowMs() + tookMs / 2, () => prover.die("signal SIGSEGV"));
          }
          return tookMs;
        },
        residentBytes: () => 1e8,
        isWrong: () => isOfNext && this.isFaulty && this.fault === "wrong",
      },
      clock,
      this,
    );
    return prover;
  }

  private submit(slot: number, nodeId: string): void {
    const { random, clock } = this;
    const requestId = `${++this.requests}`;
    const nowMs = clock.nowMs();
    const revision = slot < SWITCH_SLOT && random.chance(0.2) ? "next" : "";
    const envelope: Envelope = {
      ...{ nodeId, requestId, contentDigest: requestId, nodeEpoch: 1n, slot: BigInt(slot) },
      asked: { scheme: revision === "" ? "" : "sim", revision },
      principal: { name: nodeId, quota: {} },
      ...{ priority: random.pick([2, 2, 3]), shouldReplace: false, mayShed: true },
      ...{ receivedAtMs: nowMs, deadlineAtMs: nowMs + 6000, fenceAtMs: nowMs + 12_000 },
      ...{ minInputs: 1, steps: [], bytes: 1000 },
      accepted: { deadlineMs: 6000, fenceMs: 12_000, deadlineSource: 1 },
    };
    const groups = Array.from({ length: random.pick([1, 2]) }, (_, at) =>
      plainGroup(random, `${requestId} ${at}`),
    );
    const isAfterReturn = this.schedules.upgradeView?.state === "returned";
    const answer = this.admission.submit(envelope, () => groups);
    if (answer.kind !== "accepted") return;
    this.accepted.push({ nodeId, requestId, isAfterReturn });
    this.groups += groups.length;
  }

  /** No shadow proof goes on while a group waits that its lane could prove. */
  private check(): void {
    const ofNext = this.admission.listSessions().filter(({ system }) => system.endsWith("next"));
    const waits = ofNext.some(({ state }) => state.groups.some(({ kind }) => kind === "queued"));
    if (!waits) return;
    const wanted = new Set(
      ofNext.flatMap(({ submission }) => submission.groups.map(({ work }) => workName(work))),
    );
    for (const { device, isServing, isProving, name } of this.provers) {
      const isShadow = device.startsWith("next") && isServing && isProving && !wanted.has(name);
      if (isShadow) this.violations.push(`${device} makes a shadow proof while a group waits`);
    }
  }

  private endings(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { nodeId, requestId, isAfterReturn } of this.accepted) {
      const { summary, outcomes } = this.admission.request(nodeId, requestId);
      if (summary === undefined) this.violations.push(`${requestId} has not ended`);
      for (const { proofSystem, status } of outcomes.values()) {
        const revision = proofSystem?.revision ?? "";
        const key = `${revision} ${OutcomeStatus[status]}`;
        counts[key] = (counts[key] ?? 0) + 1;
        if (isAfterReturn && revision === "next") {
          this.violations.push(`${requestId} got the next revision after the return`);
        }
      }
    }
    return counts;
  }

  private async shadows(): Promise<Record<string, number>> {
    const results = ["verified", "differs", "invalid", "failed", "not_started", "stopped"];
    const counts = results.map(async (result) => {
      return [result, await totalOf(this.metrics.shadowProofs, { result })] as const;
    });
    return Object.fromEntries(await Promise.all(counts));
  }

  private async drain(): Promise<void> {
    const drained = this.admission.drain(2000).then(() => {
      this.schedules.close();
      return this.lanes.close();
    });
    await this.clock.runUntil(this.clock.nowMs() + 10_000, quiet);
    await drained;
  }
}
