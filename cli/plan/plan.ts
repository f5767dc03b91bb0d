/**
 * What lanes make of a network's votes: a small simulation of slots, with durations drawn from a cost
 * model. A lane takes the next group when it is free and proves the part that is worth most, chosen
 * by the service's own rule. Pure: the same input gives the same answer.
 */
import { limits } from "../../server/limits.js";
import { lowDiscrepancy } from "../../server/low-discrepancy.js";
import { proverCeilingBytes } from "../../server/prover/device/device.js";
import type { CostModel } from "../../server/work/costs/cost-model.js";
import { durationOf, LOGISTIC } from "../../server/work/costs/cost-model.js";
import { GroupParts } from "../../server/work/parts.js";
import type { Shape } from "../../server/work/shape.js";
import { prospectOf } from "../../server/work/worth.js";
import type { Network } from "./network.js";
import { groupsOf, stepsOf, subnetVotes } from "./network.js";

/** From a snapshot's call to the proof's start: inputs are read and verified. */
const BEFORE_MS = 20;
/** From the proof's end to its outcome at the node: it is verified and sent. */
const AFTER_MS = 20;
/** Slots of a run. The first one only fills the lanes. */
const SLOTS = 4;
const RUNS = 60;
/** Starts are rounded to this, so that the part of each is chosen once. */
const ROUND_MS = 10;
/** Memory of the service itself, in bytes. */
const SERVICE_BYTES = 500e6;
/** A standby that waits, where it was not measured: it has been set up, and has proved nothing. */
const STANDBY_BYTES = 0.3e9;
/** Memory is rounded up to this, as it is printed. */
const ROUND_BYTES = 0.1e9;

/** Equal lanes: provers with so many cores each. */
export interface LaneKind {
  name: string;
  cores: number;
  costs: CostModel;
  /** Most bytes that its prover holds when it makes proofs of up to this shape. */
  proverBytesOf(shape: Shape): number;
  /** Bytes that its standby holds. Default: 0.3 GB. */
  standbyBytes?: number;
}

export interface PlanRow {
  lanes: number;
  cores: number;
  /**
   * Of all provers, their standbys and the service, and at least so much that the service starts the
   * largest part that is proved.
   */
  memoryBytes: number;
  /** The `--prover-memory-mb` with which it does; undefined where the default suffices. */
  proverMemoryMb?: number;
  /** Share of votes, 0 to 1, in proofs that are ready by each of the network's steps. */
  readyBy: readonly [number, number, number];
  /** Of all cores, for a thousand votes in proofs before the fence; Infinity without any. */
  coreSecondsPer1000: number;
  /** Share of the time in which a lane proves. */
  busy: number;
}

/**
 * Returns a row for each number of lanes, ascending. A row has at least the shares of a row with
 * fewer lanes: the others may stay idle.
 */
export function planOf(network: Network, kind: LaneKind, laneCounts: readonly number[]): PlanRow[] {
  const choose = chooserOf(network, kind.costs);
  let best: PlanRow["readyBy"] = [0, 0, 0];
  return laneCounts
    .toSorted((a, b) => a - b)
    .map((lanes) => {
      const tally = new Run(network, kind.costs, lanes, choose).result();
      const [first, second, fence] = tally.readyBy;
      best = [Math.max(first, best[0]), Math.max(second, best[1]), Math.max(fence, best[2])];
      const { votes, busyMs, spanMs, largest } = tally;
      return {
        lanes,
        cores: lanes * kind.cores,
        ...memoryFor(lanes, kind.proverBytesOf(largest), kind.standbyBytes),
        readyBy: best,
        coreSecondsPer1000: votes === 0 ? Infinity : (busyMs * kind.cores) / votes,
        busy: Math.min(1, busyMs / (lanes * spanMs)),
      };
    });
}

/** What a host needs so that each of its lanes may have a prover that holds so many bytes. */
function memoryFor(
  lanes: number,
  proverBytes: number,
  standbyBytes = STANDBY_BYTES,
): Pick<PlanRow, "memoryBytes" | "proverMemoryMb"> {
  const held = SERVICE_BYTES + lanes * (proverBytes + standbyBytes);
  const ofCeiling = (lanes * proverBytes * 100) / limits.proverMemoryPercentMax;
  const memoryBytes = Math.ceil(Math.max(held, ofCeiling) / ROUND_BYTES) * ROUND_BYTES;
  const isDefaultEnough = proverCeilingBytes(memoryBytes, lanes) >= proverBytes;
  return {
    memoryBytes,
    ...(!isDefaultEnough && { proverMemoryMb: Math.ceil(proverBytes / 1e6) }),
  };
}

/** A part of a group, and what a proof of it takes. */
interface Choice {
  shape: Shape;
  votes: number;
  medianMs: number;
  /** Of the costs themselves, which all proofs have in common. */
  commonDeviation: number;
}

/** Returns the part to start so long after the snapshot; undefined when no part may start. */
type Choose = (afterMs: number) => Choice | undefined;

function chooserOf(network: Network, costs: CostModel): Choose {
  const { children } = network;
  const votes = subnetVotes(network);
  const range = (from: number) => Array.from({ length: votes }, (_, at) => from + at);
  const others = Array.from({ length: children }, (_, at) => range((at + 1) * votes));
  const parts = new GroupParts({ raws: range(0), children: others, rotation: 0 });
  const steps = stepsOf(network).map(({ untilMs, weight }) => ({ untilAtMs: untilMs, weight }));
  const horizon = { steps, fenceAtMs: steps.at(-1)?.untilAtMs ?? 0 };
  const chosen = new Map<number, Choice | undefined>();
  const choose = (afterMs: number): Choice | undefined => {
    const best = parts.best({
      mayShed: true,
      prospectOf: (shape) => prospectOf(horizon, afterMs, durationOf(costs, shape)),
    });
    if (best === undefined) return undefined;
    const { shape } = best;
    const { medianMs, deviation } = durationOf(costs, shape);
    const commonDeviation = Math.sqrt(Math.max(0, deviation ** 2 - costs.scatter));
    return { shape, votes: shape.raws + shape.children * votes, medianMs, commonDeviation };
  };
  return (afterMs) => {
    const key = Math.round(afterMs / ROUND_MS);
    if (!chosen.has(key)) chosen.set(key, choose(key * ROUND_MS));
    return chosen.get(key);
  };
}

interface Tally {
  readyBy: PlanRow["readyBy"];
  /** In proofs before the fence. */
  votes: number;
  busyMs: number;
  /** Time of all counted slots. */
  spanMs: number;
  largest: Shape;
}

class Run {
  private readonly ready: [number, number, number] = [0, 0, 0];
  private busyMs = 0;
  private largest: Shape = { raws: 0, children: 0 };

  constructor(
    private readonly network: Network,
    private readonly costs: CostModel,
    private readonly lanes: number,
    private readonly choose: Choose,
  ) {}

  result(): Tally {
    for (let run = 0; run < RUNS; run++) this.slots(run);
    const { network } = this;
    const counted = RUNS * (SLOTS - 1);
    const all = counted * groupsOf(network) * subnetVotes(network) * (1 + network.children);
    const [first, second, fence] = this.ready;
    return {
      readyBy: [first / all, second / all, fence / all],
      votes: fence,
      busyMs: this.busyMs,
      spanMs: counted * network.slotMs,
      largest: this.largest,
    };
  }

  private slots(run: number): void {
    const groups = groupsOf(this.network);
    // The costs are uncertain for all proofs of a run alike; each proof scatters by itself.
    const common = normalOf(lowDiscrepancy(run + 1));
    const freeAtMs = Array.from({ length: this.lanes }, () => 0);
    for (let nth = 0; nth < SLOTS * groups; nth++) {
      const slot = Math.floor(nth / groups);
      const own = normalOf(lowDiscrepancy(1 + run * SLOTS * groups + nth));
      this.prove(freeAtMs, slot, { common, own });
    }
  }

  /** The lane that is free first proves the next group of the slot, if it starts in time. */
  private prove(freeAtMs: number[], slot: number, drawn: { common: number; own: number }): void {
    const { network, costs } = this;
    const atMs = slot * network.slotMs;
    const lane = freeAtMs.indexOf(Math.min(...freeAtMs));
    const startMs = Math.max(atMs + BEFORE_MS, freeAtMs[lane] ?? 0);
    if (startMs - atMs > network.deadlineMs) return;
    const choice = this.choose(startMs - atMs);
    if (choice === undefined) return;
    const { shape, votes, medianMs, commonDeviation } = choice;
    const z = drawn.common * commonDeviation + drawn.own * Math.sqrt(costs.scatter);
    const steps = stepsOf(network);
    const fenceAtMs = atMs + steps[2].untilMs;
    const endMs = Math.min(startMs + medianMs * Math.exp(z), fenceAtMs);
    freeAtMs[lane] = endMs + AFTER_MS;
    if (slot === 0) return;
    this.busyMs += endMs - startMs;
    this.largest = {
      raws: Math.max(this.largest.raws, shape.raws),
      children: Math.max(this.largest.children, shape.children),
    };
    const readyAtMs = endMs + AFTER_MS;
    const inTime = (at: 0 | 1 | 2) => (readyAtMs < atMs + steps[at].untilMs ? votes : 0);
    this.ready[0] += inTime(0);
    this.ready[1] += inTime(1);
    this.ready[2] += inTime(2);
  }
}

/** The quantile of the standard normal distribution, accurate to 0.01 in probability. */
function normalOf(probability: number): number {
  const within = Math.min(0.999, Math.max(0.001, probability));
  return Math.log(within / (1 - within)) / LOGISTIC;
}
