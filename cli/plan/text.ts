/** What `plan` prints: a row for each number of lanes, and the answer in a sentence. Pure. */
import type { Column } from "../io/table.js";
import { formatTable } from "../io/table.js";
import type { Network } from "./network.js";
import { groupsOf, stepsOf, subnetVotes } from "./network.js";
import type { PlanRow } from "./plan.js";

/** `safe-target`: before the next interval starts. `accept`: before the one after it. */
export const planGoals = ["safe-target", "accept"] as const;
export type PlanGoal = (typeof planGoals)[number];

/** Names of the intervals whose starts are the first two steps: 3 and 4 of five. */
const intervalsOf = ({ intervals }: Network) => [intervals - 2, intervals - 1] as const;

export interface KindRow extends PlanRow {
  kind: string;
}

export function shareOf({ readyBy }: PlanRow, goal: PlanGoal): number {
  return readyBy[goal === "safe-target" ? 0 : 1];
}

export function planText(network: Network, rows: readonly KindRow[], answer: string): string {
  const groups = groupsOf(network);
  const children = network.children === 0 ? "" : ` and ${network.children} children`;
  const [first, second, fence] = stepsOf(network).map(({ untilMs }) => Math.round(untilMs));
  const [third, fourth] = intervalsOf(network);
  const head =
    `${groups} ${groups === 1 ? "group" : "groups"} a slot, of ${subnetVotes(network)} votes${children}; ` +
    `interval ${third} starts ${first ?? 0} ms after the snapshots, ${fourth} after ${second ?? 0}, the fence is at ${fence ?? 0}\n`;
  return `${head}\n${formatTable(columnsOf(network, rows), rows)}\n${answer}\n`;
}

function columnsOf(network: Network, rows: readonly KindRow[]): Column<KindRow>[] {
  const [third, fourth] = intervalsOf(network);
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const number = (title: string, cell: (row: KindRow) => string): Column<KindRow> => {
    return { title, align: "right", cell };
  };
  const proverMemory = number("--prover-memory-mb", ({ proverMemoryMb }) =>
    String(proverMemoryMb ?? "default"),
  );
  const isAnySet = rows.some(({ proverMemoryMb }) => proverMemoryMb !== undefined);
  return [
    { title: "costs of", cell: ({ kind }) => kind },
    number("lanes", ({ lanes }) => String(lanes)),
    number("cores", ({ cores }) => String(cores)),
    number("GB", ({ memoryBytes }) => (memoryBytes / 1e9).toFixed(1)),
    ...(isAnySet ? [proverMemory] : []),
    number(`by interval ${third}`, ({ readyBy }) => percent(readyBy[0])),
    number(`by interval ${fourth}`, ({ readyBy }) => percent(readyBy[1])),
    number("by the fence", ({ readyBy }) => percent(readyBy[2])),
    number("core s/1000 votes", ({ coreSecondsPer1000: seconds }) =>
      Number.isFinite(seconds) ? seconds.toFixed(0) : "-",
    ),
    number("busy", ({ busy }) => percent(busy)),
  ];
}

export interface Target {
  goal: PlanGoal;
  /** Share of votes, 0 to 1. */
  share: number;
}

/** The rows that reach the target with the fewest cores; of equal ones the one with fewer lanes. */
export function answerOf(rows: readonly KindRow[], target: Target): KindRow | undefined {
  const met = rows.filter((row) => shareOf(row, target.goal) >= target.share);
  return met.toSorted((a, b) => a.cores - b.cores || a.lanes - b.lanes)[0];
}

export function answerText(network: Network, rows: readonly KindRow[], target: Target): string {
  const { goal, share } = target;
  const interval = intervalsOf(network)[goal === "safe-target" ? 0 : 1];
  const percent = (value: number) => `${(100 * value).toFixed(1)} %`;
  const found = answerOf(rows, target);
  if (found !== undefined) {
    const { kind, lanes, cores, memoryBytes, proverMemoryMb } = found;
    const setting =
      proverMemoryMb === undefined ? "" : ` with --prover-memory-mb ${proverMemoryMb}`;
    const what = `${lanes} ${lanes === 1 ? "lane" : "lanes"}, ${cores} ${cores === 1 ? "core" : "cores"}, ${(memoryBytes / 1e9).toFixed(1)} GB${setting}`;
    return `${what}: ${percent(shareOf(found, goal))} of the votes by interval ${interval} (${kind})`;
  }
  const most = Math.max(...rows.map((row) => shareOf(row, goal)));
  return (
    `no number of lanes proves ${percent(share)} of the votes by interval ${interval}; the most is ${percent(most)}: ` +
    "use more subnets, faster lanes ('tune'), fewer --children, or a later --goal"
  );
}
