/** Counts what became of the snapshots, groups and votes of a replay: then, and now. Pure. */
import type { Column } from "../io/table.js";
import { formatTable } from "../io/table.js";

/** How one group ended. */
export interface GroupEnd {
  /** Status and reason, as in the documents: `not_started: deadline`. */
  outcome: string;
  /** Votes of the group, and those of them in the proof by the step in which it was ready. */
  votes: number;
  proved: readonly number[];
}

/** What stands for the outcome of a group without a known one. */
export const NO_OUTCOME = "without an outcome";

export class Tally {
  private readonly counts = new Map<string, number>();
  private readonly steps: number[] = [];

  /** @param answer `accepted`, or `skipped: in_flight` */
  answered(answer: string): void {
    this.add(`snapshots ${answer}`, 1);
  }

  ended({ outcome, votes, proved }: GroupEnd): void {
    this.add(`groups ${outcome}`, 1);
    this.add(VOTES, votes);
    proved.forEach((count, step) => {
      this.steps[step] = (this.steps[step] ?? 0) + count;
    });
  }

  get votesProved(): number {
    return this.steps.reduce((sum, count) => sum + count, 0);
  }

  /** Counts by name. */
  rows(): ReadonlyMap<string, number> {
    const steps = this.steps.map((count, step): [string, number] => [
      `  ready in step ${step + 1}`,
      count,
    ]);
    const sorted = [...this.counts].sort(([a], [b]) => (a < b ? -1 : 1));
    const isVotes = ([name]: [string, number]) => name === VOTES;
    return new Map([
      ...sorted.filter((row) => !isVotes(row)),
      [VOTES, this.counts.get(VOTES) ?? 0],
      [VOTES_PROVED, this.votesProved],
      ...(steps.length > 1 ? steps : []),
    ]);
  }

  private add(name: string, by: number): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + by);
  }
}

const VOTES = "votes in accepted snapshots";
const VOTES_PROVED = "votes in proofs";

interface Row {
  name: string;
  then: number;
  now: number;
}

/** Both side by side, a row for each name of either. */
export function tallyTable(then: Tally, now: Tally): string {
  const [before, after] = [then.rows(), now.rows()];
  const names = [...new Set([...before.keys(), ...after.keys()])].sort(
    (a, b) => placeOf(a) - placeOf(b),
  );
  const rows = names.map((name) => ({
    name,
    then: before.get(name) ?? 0,
    now: after.get(name) ?? 0,
  }));
  return formatTable(columns, rows);
}

const columns: readonly Column<Row>[] = [
  { title: "", cell: ({ name }) => name },
  { title: "then", align: "right", cell: (row) => `${row.then}` },
  { title: "now", align: "right", cell: (row) => `${row.now}` },
];

const ORDER = ["snapshots", "groups", VOTES, VOTES_PROVED, "  ready"];

/** Snapshots before groups before votes; steps in their order. */
function placeOf(name: string): number {
  const at = ORDER.findLastIndex((start) => name.startsWith(start));
  const step = /step (\d+)$/.exec(name)?.[1];
  return at + Number(step ?? 0) / 100;
}
