/**
 * A tree of jobs ends whatever its jobs do: each job is within the limits of one fold, folds only what is
 * there, and no signature or child is proved twice.
 */
import type { FoldLimits } from "../../../server/work/fold-limits.js";
import { fitsOneJob } from "../../../server/work/fold-limits.js";
import type { TreeJob } from "../../../server/work/tree.js";
import { Tree } from "../../../server/work/tree.js";
import type { FuzzTarget } from "../engine/target.js";
import { holds } from "../engine/target.js";

/** A tree of the first bytes; each later one is what becomes of a job. */
const SETUP = 6;
const EVENTS_MAX = 4096;
const ARITIES = [0, 0b100, 0b10100, 0b100000000000100];

export const target: FuzzTarget = {
  name: "tree",
  bytesMax: 1024,
  msMax: 100,
  msPerKb: 25,
  seeds: () => [
    new Uint8Array([40, 0, 8, 1, 16, 1]),
    new Uint8Array([64, 3, 5, 2, 16, 0, 1, 2, 3, 4, 5]),
    new Uint8Array([0, 7, 1, 2, 2, 1, 12, 13, 14, 15]),
  ],
  open: () => ({ run }),
};

function run(input: Uint8Array): void {
  const [raws = 0, children = 0, rawsMax = 0, arity = 0, most = 0, mayShed = 0] = input;
  const limits: FoldLimits = {
    rawsMax: 1 + (rawsMax % 32),
    rawsBesideMax: 0,
    childrenMax: 2 + (most % 15),
    arities: ARITIES[arity % ARITIES.length] ?? 0,
  };
  const part = { raws: range(raws), children: range(children % 17), covered: [] };
  const tree = new Tree({
    raws: part.raws,
    children: part.children.map((child) => [1000 + child]),
    part,
    limits,
    mayShed: mayShed % 2 === 1,
  });
  const events = input.subarray(SETUP);
  for (let at = 0; tree.end === undefined; at++) {
    holds(at < EVENTS_MAX, "a tree ends");
    const ready = tree.ready();
    const [job] = ready;
    holds(job !== undefined, "a tree that has not ended has a job that may start");
    const event = events.length === 0 ? 0 : (events[at % events.length] ?? 0);
    if (job !== undefined) step(tree, ready[event % ready.length] ?? job, event >> 4, limits);
  }
  judge(tree, part.raws.length, part.children.length);
}

function step(tree: Tree, job: TreeJob, event: number, limits: FoldLimits): void {
  const { raws, children } = job.shape;
  holds(raws > 0 || children >= 2, "a job has something to prove");
  holds(fitsOneJob(limits, job.shape), "a job is within the limits of one fold");
  tree.start(job.id);
  // Each job is lost a bounded number of times: what is lost for ever never ends.
  if (event === 1) tree.lost(job.id);
  if (event === 1) tree.start(job.id);
  if (event === 2) return tree.failed(job.id);
  if (event === 4) return tree.missed(job.id);
  if (job.kind === "leaf") {
    if (event === 5) return tree.empty(job.id);
    return tree.proved(job.id, event === 6 ? job.raws.slice(0, -1) : []);
  }
  if (event === 7) return tree.bad(job.id, [0]);
  if (event === 8) return tree.narrow(job.id);
  return tree.proved(job.id);
}

function judge({ end }: Tree, raws: number, children: number): void {
  if (end?.kind !== "proved") return;
  const distinct = (all: readonly number[]) => new Set(all).size === all.length;
  holds(distinct(end.raws) && distinct(end.children), "nothing is proved twice");
  holds(
    end.raws.every((raw) => raw < raws) && end.children.every((child) => child < children),
    "only the group's own inputs are proved",
  );
  holds(end.raws.length + end.children.length > 0, "a proof is of something");
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at);
}
