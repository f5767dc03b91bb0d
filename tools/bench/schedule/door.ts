/** A door with many nodes and many fake lanes on virtual time, and the CPU time of its schedule. */
import { performance } from "node:perf_hooks";
import { Admission } from "../../../server/admission/admission.js";
import { createLog } from "../../../server/log/log.js";
import { MemoryBudget } from "../../../server/memory-budget.js";
import { createMetrics } from "../../../server/metrics/metrics.js";
import { Schedules } from "../../../server/schedule/schedules.js";
import type { DecodedGroup } from "../../../server/work/group.js";
import type { Submission } from "../../../server/work/submission.js";
import { decodedGroup } from "../../harness/decoded-group.js";
import { Random } from "../../sim/random.js";
import { FakeLane } from "./fake-lane.js";
import { HeapClock } from "./heap-clock.js";

const SLOT_MS = 4000;
/** Nodes submit within this time of a slot. */
const SPREAD_MS = 1000;
const GROUPS = 4;
const EXPIRE_EVERY_MS = 250;
const [DEADLINE_MS, FENCE_MS] = [3000, 6400];
const [RAWS_MIN, RAWS_MAX] = [20, 60];

/** Of the slots that are measured, without those before. */
export interface DoorFigures {
  /** CPU time of this process divided by virtual time, in percent of a core. */
  readonly cpuPercent: number;
  readonly submitP50Ms: number;
  readonly submitP99Ms: number;
  readonly accepted: number;
  readonly skipped: number;
  /** Groups by how they ended in that time, which shows whether two versions decide alike. */
  readonly endings: Readonly<Record<string, number>>;
}

export class BenchDoor {
  private readonly clock = new HeapClock();
  private readonly random = new Random(1);
  private readonly schedules: Schedules;
  private readonly admission: Admission;
  private submitMs: number[] = [];
  private requests = 0;
  private answers = { accepted: 0, skipped: 0 };
  private readonly seqs = new Map<string, number>();
  private endings: Record<string, number> = {};

  constructor(
    private readonly nodes: number,
    lanes: number,
  ) {
    const { clock, random } = this;
    const metrics = createMetrics();
    const log = createLog("silent");
    const memory = new MemoryBudget(1e12);
    this.schedules = new Schedules({}, { clock, metrics });
    const { schedules } = this;
    this.admission = new Admission(
      { instance: "00000000000000aa" },
      { clock, log, metrics, schedules, memory },
    );
    for (let at = 0; at < lanes; at++) {
      const lane = new FakeLane(`h${at}.cpu`, {
        clock,
        random: () => random.between(0, 1),
        emit: (deviceId, message) => schedules.heard(deviceId, message),
      });
      schedules.added(lane);
      lane.open();
    }
  }

  /** Runs so many slots to warm up, and then so many that are measured. */
  run(warmUp: number, measured: number): DoorFigures {
    const { clock } = this;
    const expire = () => {
      this.admission.expire();
      clock.at(clock.nowMs() + EXPIRE_EVERY_MS, expire);
    };
    expire();
    for (let slot = 1; slot <= warmUp + measured; slot++) {
      for (let node = 0; node < this.nodes; node++) {
        const atMs = slot * SLOT_MS + this.random.between(0, SPREAD_MS);
        clock.at(atMs, () => this.submit(`node-${node}`, slot));
      }
    }
    clock.runUntil((warmUp + 1) * SLOT_MS);
    this.readOutcomes();
    this.submitMs = [];
    this.answers = { accepted: 0, skipped: 0 };
    this.endings = {};
    const before = process.cpuUsage();
    clock.runUntil((warmUp + measured + 1) * SLOT_MS);
    const { user, system } = process.cpuUsage(before);
    this.readOutcomes();
    const sorted = [...this.submitMs].sort((a, b) => a - b);
    const quantile = (share: number) => sorted[Math.floor(share * sorted.length)] ?? NaN;
    return {
      cpuPercent: ((user + system) / 1000 / (measured * SLOT_MS)) * 100,
      submitP50Ms: quantile(0.5),
      submitP99Ms: quantile(0.99),
      ...this.answers,
      endings: this.endings,
    };
  }

  private submit(nodeId: string, slot: number): void {
    const requestId = `${++this.requests}`;
    const nowMs = this.clock.nowMs();
    const groups = Array.from({ length: GROUPS }, (_, at) => this.group(`${requestId}/${at}`));
    const submission: Submission = {
      nodeId,
      nodeEpoch: 1n,
      principal: { name: "bench", quota: {} },
      requestId,
      contentDigest: requestId,
      slot: BigInt(slot),
      priority: 2,
      shouldReplace: true,
      mayShed: true,
      receivedAtMs: nowMs,
      deadlineAtMs: nowMs + DEADLINE_MS,
      fenceAtMs: nowMs + FENCE_MS,
      minInputs: 1,
      steps: [],
      bytes: 1000,
      groups,
      accepted: { deadlineMs: DEADLINE_MS, fenceMs: FENCE_MS, deadlineSource: 1 },
    };
    const startedAtMs = performance.now();
    const { kind } = this.admission.submit(submission, () => groups);
    this.submitMs.push(performance.now() - startedAtMs);
    this.answers[kind]++;
    this.readOutcomesOf(nodeId);
  }

  private group(digest: string): DecodedGroup {
    const raws = this.random.whole(RAWS_MIN, RAWS_MAX);
    const work = {
      kind: "fold" as const,
      message: { root: new Uint8Array(32), slot: 1 },
      raws: {
        validators: Array.from({ length: raws }, (_, at) => at),
        keys: new Uint8Array(raws),
        signatures: new Uint8Array(raws),
      },
      children: [],
      leftOut: [],
      logInvRate: 0,
    };
    return { ...decodedGroup(work), digest };
  }

  private readOutcomes(): void {
    for (let node = 0; node < this.nodes; node++) this.readOutcomesOf(`node-${node}`);
  }

  private readOutcomesOf(nodeId: string): void {
    const record = this.admission.node(nodeId);
    for (;;) {
      const read = record.readAfter(this.seqs.get(nodeId) ?? 0);
      if (read === undefined) return;
      if (read === "behind") throw new Error("a record that is read all along is never behind");
      this.seqs.set(nodeId, read.seq);
      if (read.event.kind !== "outcome") continue;
      const ending = `${read.event.outcome.status}/${read.event.outcome.reason}`;
      this.endings[ending] = (this.endings[ending] ?? 0) + 1;
    }
  }
}
