/**
 * The order of inference gateways, as their flow control has it: the highest class first, within it
 * the nodes in turn, of a node the earliest deadline; what waits past its deadline is dropped (time
 * to live), what runs at its fence is killed. A group is admitted, and started, only where it is
 * predicted to be in time. It predicts with the service's own cost model, one a lane, which learns
 * from every proof as the service does. It proves whole groups, and equal groups each on its own.
 */
import type { CostModel } from "../../../server/work/costs/cost-model.js";
import {
  freshCostModel,
  learn,
  learnAtLeast,
  predictMs,
} from "../../../server/work/costs/cost-model.js";
import { smallestShape } from "../../../server/work/shape.js";
import { calibrationRoot } from "../../sim/calibration.js";
import { OpenSessions } from "./baselines.js";
import { shapeOfGroup } from "../scenario/group-spec.js";
import type { ProofRecord, Run } from "../measure/run.js";
import type { Ask, Scenario, SnapshotSpec } from "../scenario/scenario.js";
import type { End, Policy } from "../simulate.js";
import { simulate } from "../simulate.js";

export function gateway(scenario: Scenario): Run {
  return simulate(scenario, (end) => new Gateway(scenario, end));
}

interface Running {
  ask: Ask;
  startedAtMs: number;
}

class Gateway implements Policy {
  readonly killsAtFence = true;
  private readonly models: CostModel[];
  private readonly running: (Running | undefined)[];
  private waiting: Ask[] = [];
  private readonly sessions = new OpenSessions();
  /** Number of the node's last turn; the node with the smallest is next. */
  private readonly turns = new Map<string, number>();
  private turn = 0;

  constructor(
    { lanes, truth }: Scenario,
    private readonly end: End,
  ) {
    // Devices are timed by a proof before they take work, as the service's are.
    const timing = { root: calibrationRoot, slot: 0, raws: [0], children: [] };
    this.models = Array.from({ length: lanes }, (_, lane) =>
      learn(freshCostModel, smallestShape, truth.wholeMs(lane, timing), 0),
    );
    this.running = this.models.map(() => undefined);
  }

  arrive(asks: readonly Ask[], snapshot: SnapshotSpec, nowMs: number): void {
    this.dropExpired(nowMs);
    if (this.sessions.hasOpen(snapshot)) {
      for (const ask of asks) this.end(ask, "skipped in_flight");
      return;
    }
    for (const ask of asks) {
      if (this.isPredictedInTime(ask, nowMs)) {
        this.sessions.open([ask]);
        this.waiting.push(ask);
      } else this.end(ask, "skipped predicted_miss");
    }
  }

  next(lane: number, nowMs: number): Ask | undefined {
    this.dropExpired(nowMs);
    for (;;) {
      const ask = this.first();
      if (ask === undefined) return undefined;
      this.waiting.splice(this.waiting.indexOf(ask), 1);
      if (nowMs + this.costMs(lane, ask) < ask.fenceAtMs) {
        this.turns.set(ask.snapshot.node, ++this.turn);
        this.running[lane] = { ask, startedAtMs: nowMs };
        return ask;
      }
      this.end(ask, "not_started predicted_miss");
      this.sessions.close(ask);
    }
  }

  finished(ask: Ask, { lane, startedAtMs, endedAtMs, end }: ProofRecord): void {
    this.running[lane] = undefined;
    this.sessions.close(ask);
    if (end === "died") return;
    const tookMs = endedAtMs - startedAtMs;
    const learnFrom = end === "proved" ? learn : learnAtLeast;
    this.models[lane] = learnFrom(this.model(lane), shapeOfGroup(ask.group), tookMs, endedAtMs);
  }

  private first(): Ask | undefined {
    const turnOf = ({ snapshot }: Ask) => this.turns.get(snapshot.node) ?? 0;
    const isBefore = (a: Ask, b: Ask) =>
      (a.snapshot.priority - b.snapshot.priority ||
        turnOf(a) - turnOf(b) ||
        a.deadlineAtMs - b.deadlineAtMs) < 0;
    return this.waiting.reduce<Ask | undefined>(
      (best, ask) => (best === undefined || isBefore(ask, best) ? ask : best),
      undefined,
    );
  }

  /** Behind all that waits of its class and of higher ones. */
  private isPredictedInTime(ask: Ask, nowMs: number): boolean {
    const freeAtMs = this.running.map((running, lane) =>
      running === undefined
        ? nowMs
        : Math.max(nowMs, running.startedAtMs + this.costMs(lane, running.ask)),
    );
    const earliest = () => freeAtMs.indexOf(Math.min(...freeAtMs));
    for (const other of this.waiting) {
      if (other.snapshot.priority > ask.snapshot.priority) continue;
      const lane = earliest();
      freeAtMs[lane] = (freeAtMs[lane] ?? nowMs) + this.costMs(lane, other);
    }
    const lane = earliest();
    const startAtMs = freeAtMs[lane] ?? nowMs;
    const endAtMs = startAtMs + this.costMs(lane, ask);
    return startAtMs < ask.deadlineAtMs && endAtMs < ask.fenceAtMs;
  }

  private dropExpired(nowMs: number): void {
    this.waiting = this.waiting.filter((ask) => {
      if (nowMs < ask.deadlineAtMs) return true;
      this.end(ask, "not_started deadline");
      this.sessions.close(ask);
      return false;
    });
  }

  private costMs(lane: number, { group }: Ask): number {
    return predictMs(this.model(lane), shapeOfGroup(group));
  }

  private model(lane: number): CostModel {
    return this.models[lane] ?? freshCostModel;
  }
}
