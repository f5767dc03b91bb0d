/** The workloads: seeded scenarios of nodes that submit as on a chain, and of nodes that do not. */
import { stepsOf } from "../../../client/adapter/slot-times.js";
import { Random } from "../../sim/random.js";
import type { GroupSpec } from "./group-spec.js";
import type { Priority, Scenario, SnapshotSpec } from "./scenario.js";
import { BACKLOG } from "./scenario.js";
import { hash, Truth } from "./truth.js";

const SLOT_MS = 4000;
const INTERVALS = 5;
/** Interval 2 begins here; all nodes submit within a fourth of it. */
const AGGREGATE_AT_MS = 1600;
const BURST_MS = 200;
/** Two slots less two intervals, the service's default; longer where a node asks for more time. */
const FENCE_MS = 6400;
/** Provers are up after the first slots; the next let the service learn its devices. */
const FIRST_SLOT = 2;
const LEARNING_SLOTS = 4;
const SUBNETS = 8;
const SUBNET_VALIDATORS = 128;

export interface Workload {
  name: string;
  lanes: number;
  nodes: number;
  /** With something to prove, of which the first few are not judged. */
  slots: number;
  /** A slot's length, where it is not the chain's. */
  slotMs?: number;
  /** Groups a snapshot, at least and at most. */
  groups: readonly [number, number];
  raws: readonly number[];
  /** Chances of one and of two children. */
  children?: readonly [number, number];
  /** Share of groups that several nodes have alike. */
  identical?: number;
  /** Share of snapshots whose groups must not be cut. */
  uncut?: number;
  /** Nodes that submit backlog all along. */
  backlogNodes?: number;
  hasFlooder?: boolean;
  scatter?: number;
  slow?: number;
  crashes?: number;
}

const ordinaryRaws = [1, 4, 8, 16, 16, 24, 32, 32, 48, 64, 96];

export function drawScenario(workload: Workload, budgetOverCost: number, seed: number): Scenario {
  const random = new Random(hash(`${workload.name}/${seed}`));
  const truth = drawTruth(workload, seed, random);
  const builder = new Builder(workload, random);
  const planned = builder.plan();
  const costs = planned.flatMap(({ groups }) => groups.map((group) => truth.wholeMs(0, group)));
  const typicalMs = costs.reduce((sum, ms) => sum + ms, 0) / costs.length;
  const slotMs = workload.slotMs ?? SLOT_MS;
  const budgetMs = budgetOverCost * typicalMs;
  const snapshots = planned.map((snapshot) => withBudget(snapshot, budgetMs, slotMs));
  const longestMs = Math.max(...snapshots.map(({ fenceMs }) => fenceMs));
  return {
    workload: workload.name,
    seed,
    lanes: workload.lanes,
    snapshots,
    truth,
    typicalMs,
    budgetOverCost,
    judgedFromMs: (FIRST_SLOT + LEARNING_SLOTS) * slotMs,
    endMs: (FIRST_SLOT + workload.slots + 1) * slotMs + longestMs,
    flooder: workload.hasFlooder === true ? "flooder" : undefined,
  };
}

function drawTruth({ lanes, scatter, slow, crashes }: Workload, seed: number, random: Random) {
  const device = random.between(0.5, 1.6);
  return new Truth({
    seed,
    speeds: Array.from({ length: lanes }, () => device * random.between(0.9, 1.1)),
    childFactor: random.between(0.7, 1.2),
    scatter: scatter ?? 0.07,
    slow: slow ?? 0,
    crashes: crashes ?? 0,
    drift: 0.15,
  });
}

type Planned = Omit<SnapshotSpec, "deadlineMs" | "fenceMs" | "steps">;

/** Backlog has three times as long, and is worth the same all that time: its slot is over. */
function withBudget(planned: Planned, budgetMs: number, slotMs: number): SnapshotSpec {
  const { atMs, slot, priority } = planned;
  const deadlineMs = Math.round(priority === BACKLOG ? 3 * budgetMs : budgetMs);
  const fenceMs = Math.max(
    priority === BACKLOG ? 3 * FENCE_MS : FENCE_MS,
    Math.round(deadlineMs + FENCE_MS / 4),
  );
  const fenceAtMs = atMs + fenceMs;
  // Where slots are further apart than the chain's, the intervals are still the chain's.
  const times = { slotMs: SLOT_MS, intervals: INTERVALS, phaseMs: slot * slotMs };
  const steps =
    priority === BACKLOG
      ? [{ untilAtMs: fenceAtMs, weight: 1 }]
      : stepsOf(times, 0, { atMs, fenceAtMs });
  return { ...planned, deadlineMs, fenceMs, steps };
}

class Builder {
  private readonly planned: Planned[] = [];

  constructor(
    private readonly workload: Workload,
    private readonly random: Random,
  ) {}

  plan(): Planned[] {
    const { nodes, slots, backlogNodes = 0, hasFlooder, slotMs = SLOT_MS } = this.workload;
    for (let slot = FIRST_SLOT; slot < FIRST_SLOT + slots; slot++) {
      // All nodes vote for the same few data, each with the signatures that it saw.
      const shared = this.drawGroups(slot, "data", 0);
      for (let node = 0; node < nodes; node++) this.burst(slot, node, shared);
      for (let node = 0; node < backlogNodes; node++) {
        const atMs = slot * slotMs + this.random.between(0, slotMs);
        this.add(
          atMs,
          `backlog-${node}`,
          slot,
          BACKLOG,
          this.drawGroups(slot, `backlog ${node}`, node),
        );
      }
      if (hasFlooder === true) this.flood(slot, slotMs);
    }
    return this.planned.sort((a, b) => a.atMs - b.atMs);
  }

  private burst(slot: number, node: number, shared: readonly GroupSpec[]): void {
    const { slotMs = SLOT_MS, identical = 0 } = this.workload;
    const atMs = slot * slotMs + AGGREGATE_AT_MS + this.random.between(0, BURST_MS);
    const groups = this.drawGroups(slot, "data", node).map((group, at) =>
      this.random.chance(identical) ? (shared[at] ?? group) : group,
    );
    this.add(atMs, `node-${node}`, slot, 2, groups);
  }

  /** A hundred times what a quiet node sends, evenly over the slot. */
  private flood(slot: number, slotMs: number): void {
    const times = 25;
    const groupsEach = 8;
    for (let at = 0; at < times; at++) {
      const groups = Array.from({ length: groupsEach }, (_, group) =>
        this.drawGroup(slot, `flood ${at}/${group}`, 0),
      );
      this.add(slot * slotMs + (at * slotMs) / times, "flooder", slot, 2, groups);
    }
  }

  private add(
    atMs: number,
    node: string,
    slot: number,
    priority: Priority,
    groups: readonly GroupSpec[],
  ): void {
    const mayShed = !this.random.chance(this.workload.uncut ?? 0.05);
    this.planned.push({ atMs: Math.round(atMs), node, slot, priority, mayShed, groups });
  }

  private drawGroups(slot: number, owner: string, node: number): GroupSpec[] {
    const [low, high] = this.workload.groups;
    const count = this.random.whole(low, high);
    return Array.from({ length: count }, (_, at) => this.drawGroup(slot, `${owner}/${at}`, node));
  }

  private drawGroup(slot: number, name: string, node: number): GroupSpec {
    const { random, workload } = this;
    const [one, two] = workload.children ?? [0.15, 0.05];
    const dice = random.next();
    const count = dice < two ? 2 : dice < two + one ? 1 : 0;
    const raws = count === 2 && random.chance(0.3) ? 0 : random.pick(workload.raws);
    const pool = this.validators(node);
    const children = Array.from({ length: count }, () => pool.splice(0, random.whole(2, 24)));
    return { root: rootOf(slot, name), slot, raws: pool.slice(0, raws), children };
  }

  /** The node's subnet in random order, others after it. */
  private validators(node: number): number[] {
    const start = (node % SUBNETS) * SUBNET_VALIDATORS;
    const own = Array.from({ length: SUBNET_VALIDATORS }, (_, at) => start + at);
    for (let at = own.length - 1; at > 0; at--) {
      const other = this.random.whole(0, at);
      [own[at], own[other]] = [own[other] ?? 0, own[at] ?? 0];
    }
    const total = SUBNETS * SUBNET_VALIDATORS;
    const others = total - SUBNET_VALIDATORS;
    return [
      ...own,
      ...Array.from({ length: others }, (_, at) => (start + SUBNET_VALIDATORS + at) % total),
    ];
  }
}

function rootOf(slot: number, name: string): string {
  const root = Buffer.alloc(32);
  root.write(`${slot}/${name}`);
  return root.toString("hex");
}

const burst = { slots: 24, raws: ordinaryRaws, groups: [1, 2] } as const;

/** Judged in slots after the learning ones; each at every budget. */
export const workloads: readonly Workload[] = [
  { ...burst, name: "1 node, 1 lane", nodes: 1, lanes: 1, groups: [1, 3] },
  { ...burst, name: "4 nodes, 2 lanes", nodes: 4, lanes: 2 },
  { ...burst, name: "16 nodes, 8 lanes", nodes: 16, lanes: 8 },
  { ...burst, name: "8 nodes, 1 lane", nodes: 8, lanes: 1 },
  { ...burst, name: "64 nodes, 8 lanes", nodes: 64, lanes: 8, groups: [1, 3], slots: 14 },
  { ...burst, name: "backlog", nodes: 4, lanes: 3, backlogNodes: 4 },
  { ...burst, name: "identical groups", nodes: 12, lanes: 4, identical: 0.6 },
  { ...burst, name: "slow and crashing", nodes: 4, lanes: 3, slow: 0.04, crashes: 0.05 },
  { ...burst, name: "flooding node", nodes: 2, lanes: 2, hasFlooder: true },
  {
    ...burst,
    name: "oversized groups",
    nodes: 3,
    lanes: 3,
    raws: [64, 96, 128, 192, 256],
    children: [0.35, 0.35],
  },
  { ...burst, name: "parts forbidden", nodes: 6, lanes: 3, uncut: 1, children: [0.3, 0.2] },
  {
    ...burst,
    name: "all at once",
    nodes: 10,
    lanes: 4,
    backlogNodes: 3,
    identical: 0.3,
    slow: 0.02,
    crashes: 0.02,
    hasFlooder: true,
  },
];

/** Few groups on one or two lanes, each burst on idle lanes: the optimum can be computed. */
export const smallWorkloads: readonly Workload[] = [1, 2].map((lanes) => ({
  ...burst,
  name: lanes === 1 ? "small, 1 lane" : "small, 2 lanes",
  nodes: lanes === 1 ? 3 : 4,
  lanes,
  slots: 16,
  slotMs: 60_000,
  uncut: 1,
}));

/** Budget over a typical proof's cost: from less than one proof to what a backlog asks for. */
export const budgetsOverCost = [0.7, 1, 1.5, 2, 3, 4, 6, 8] as const;
