/** A tree of jobs ends with one proof of all good inputs, whatever its jobs meet. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fitsOneJob, noFoldLimits } from "../../../server/work/fold-limits.js";
import type { FoldLimits } from "../../../server/work/fold-limits.js";
import { cut, Tree } from "../../../server/work/tree.js";
import type { TreeEnd, TreeJob, TreeRequest } from "../../../server/work/tree.js";
import { jobsOf, treeDuration } from "../../../server/work/costs/tree-time.js";

const range = (count: number, from = 0) => Array.from({ length: count }, (_, at) => from + at);
const TWO_FOUR = 0b10100;

/** A group of so many raw signatures, and of children with these validators. */
function request(
  raws: number,
  children: readonly (readonly number[])[] = [],
  of: Partial<FoldLimits> & { mayShed?: boolean } = {},
): TreeRequest {
  const { mayShed = true, ...own } = of;
  const inChildren = new Set(children.flat());
  const part = {
    raws: range(raws).filter((raw) => !inChildren.has(raw)),
    children: range(children.length),
    covered: range(raws).filter((raw) => inChildren.has(raw)),
  };
  return { raws: range(raws), children, part, limits: { ...noFoldLimits, ...own }, mayShed };
}

/** What jobs meet: inputs that are bad, and how often jobs fail, by the number of their start. */
interface Fate {
  badRaws?: ReadonlySet<number>;
  badChildren?: ReadonlySet<number>;
  /** What happens at the nth start of a job; default: its proof is made. */
  nth?: (start: number, job: TreeJob) => "failed" | "missed" | "lost" | "bad_proof" | undefined;
  /** Of the ready jobs, the one to start at the nth start. Default: the first. */
  pick?: (start: number, ready: number) => number;
}

/** Runs the tree one job after the other; returns its end and the jobs that were started. */
function run(of: TreeRequest, fate: Fate = {}): { end: TreeEnd; started: TreeJob[] } {
  const { badRaws = new Set(), badChildren = new Set(), nth, pick = () => 0 } = fate;
  const tree = new Tree(of);
  const started: TreeJob[] = [];
  /** Jobs of which the proof does not verify. */
  const rotten = new Set<number>();
  for (;;) {
    const { end } = tree;
    if (end !== undefined) return { end, started };
    const ready = tree.ready();
    const job = ready[pick(started.length, ready.length) % ready.length];
    if (job === undefined) throw new Error("no job is ready, and the tree has not ended");
    expect(fitsOneJob(of.limits, job.shape)).toBe(true);
    const what = nth?.(started.length, job);
    started.push(job);
    expect(started.length).toBeLessThan(2000);
    tree.start(job.id);
    if (what === "lost") tree.lost(job.id);
    else if (what === "missed") tree.missed(job.id);
    else if (what === "failed") tree.failed(job.id);
    else if (job.kind === "leaf") {
      const bad = job.raws.filter((raw) => badRaws.has(raw));
      rotten.delete(job.id);
      if (bad.length === job.raws.length) tree.empty(job.id);
      else tree.proved(job.id, bad);
      if (what === "bad_proof" && bad.length < job.raws.length) rotten.add(job.id);
    } else {
      const places = job.proofs.flatMap((proof, at) =>
        (proof.kind === "child" ? badChildren.has(proof.child) : rotten.has(proof.job)) ? [at] : [],
      );
      if (places.length > 0) tree.bad(job.id, places);
      else tree.proved(job.id);
    }
  }
}

const sorted = (numbers: readonly number[]) => [...numbers].sort((a, b) => a - b);
const proved = (end: TreeEnd) => {
  if (end.kind !== "proved") throw new Error(`the tree ended ${end.kind}`);
  return { raws: sorted(end.raws), children: sorted(end.children) };
};
const kinds = (jobs: readonly TreeJob[]) => jobs.map(({ shape }) => shape.raws || -shape.children);

const limitsArbitrary = fc.record({
  rawsMax: fc.integer({ min: 1, max: 40 }),
  rawsBesideMax: fc.constantFrom(0, 5, Infinity),
  childrenMax: fc.integer({ min: 2, max: 8 }),
  arities: fc.constantFrom(0, TWO_FOUR, 0b100, 0b1110, 0b100000100),
});
const groupArbitrary = fc.record({
  raws: fc.integer({ min: 0, max: 120 }),
  children: fc.array(
    fc.uniqueArray(fc.integer({ min: 0, max: 200 }), { minLength: 1, maxLength: 60 }),
    { maxLength: 9 },
  ),
});

describe("the plan of a tree", () => {
  it("has the fewest leaves, of sizes that differ by one at most", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4096 }),
        fc.integer({ min: 1, max: 500 }),
        (raws, max) => {
          const sizes = cut(raws, max).map(([from, to]) => to - from);
          expect(sizes.length).toBe(Math.ceil(raws / max));
          expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(raws);
          expect(Math.max(...sizes)).toBeLessThanOrEqual(max);
          expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        },
      ),
    );
  });

  it("folds the most that the backend takes at once, and leaves one over to the next level", () => {
    expect(kinds(run(request(63, [[99]], { rawsMax: 32 })).started)).toEqual([31, 32, -3]);
    expect(kinds(run(request(5, [], { rawsMax: 1, childrenMax: 4 })).started)).toEqual([
      1, 1, 1, 1, -4, 1, -2,
    ]);
    const three = run(request(9, [], { rawsMax: 3, arities: TWO_FOUR })).started;
    expect(kinds(three)).toEqual([3, 3, -2, 3, -2]);
  });

  it("is what predictions take it for", () => {
    fc.assert(
      fc.property(groupArbitrary, limitsArbitrary, ({ raws, children }, limits) => {
        const of = request(raws, children, limits);
        const shape = { raws: of.part.raws.length, children: children.length };
        if (shape.raws + shape.children < 1) return;
        const { started } = run(of);
        expect(sorted(kinds(started))).toEqual(
          sorted(jobsOf(limits, shape).map((job) => job.raws || -job.children)),
        );
      }),
    );
  });

  it("is predicted to take its jobs one after the other on one lane, and its longest path on many", () => {
    const limits = { ...noFoldLimits, rawsMax: 10, arities: TWO_FOUR };
    const durationOf = ({ raws, children }: { raws: number; children: number }) => {
      return { medianMs: raws * 10 + children * 100, deviation: 0.1 };
    };
    const on = (lanes: number) =>
      treeDuration(
        { limits, freeAfterMs: range(lanes).map(() => 0), durationOf },
        { raws: 80, children: 0 },
      );
    expect(on(1).medianMs).toBe(8 * 100 + 2 * 400 + 200);
    expect(on(8).medianMs).toBe(100 + 400 + 200);
    expect(on(8).deviation).toBeCloseTo(0.1);
  });
});

describe("a tree", () => {
  it("of good inputs ends with a proof of all, each leaf made once", () => {
    fc.assert(
      fc.property(groupArbitrary, limitsArbitrary, fc.nat(), ({ raws, children }, limits, seed) => {
        const of = request(raws, children, limits);
        if (of.part.raws.length === 0 && children.length < 2) return;
        const { end } = run(of, { pick: (start) => seed + start * 7 });
        const { raws: in_, children: folded } = proved(end);
        expect(in_).toEqual(of.part.raws);
        expect(folded).toEqual(of.part.children);
      }),
    );
  });

  it("with bad inputs proves exactly the good ones, those too that only a bad child covered", () => {
    fc.assert(
      fc.property(
        groupArbitrary,
        limitsArbitrary,
        fc.func(fc.boolean()),
        fc.func(fc.boolean()),
        ({ raws, children }, limits, isBadRaw, isBadChild) => {
          const of = request(raws, children, limits);
          const badRaws = new Set(range(raws).filter((raw) => isBadRaw(raw)));
          const badChildren = new Set(range(children.length).filter((child) => isBadChild(child)));
          const { end } = run(of, { badRaws, badChildren });
          const good = range(children.length).filter((child) => !badChildren.has(child));
          const inGood = new Set(good.flatMap((child) => children[child] ?? []));
          const alone = range(raws).filter((raw) => !badRaws.has(raw) && !inGood.has(raw));
          // One child alone is folded with nothing, and so is not found out to be bad.
          if (end.kind !== "proved") {
            expect(end.kind).toBe("nothing");
            expect(good.length).toBeLessThan(2);
            return;
          }
          expect(proved(end)).toEqual({ raws: alone, children: good });
        },
      ),
    );
  });

  it("makes up for jobs that fail once, are lost, or made a proof that does not verify", () => {
    fc.assert(
      fc.property(groupArbitrary, limitsArbitrary, fc.func(fc.nat(6)), (group, limits, draw) => {
        const { raws, children } = group;
        const of = request(raws, children, { ...limits, mayShed: false });
        if (of.part.raws.length === 0 && children.length < 2) return;
        const hurt = new Set<number>();
        const nth = (start: number, { id, kind }: TreeJob) => {
          const fate = (["failed", "lost", kind === "leaf" ? "bad_proof" : "failed"] as const)[
            draw(start)
          ];
          if (fate === undefined || fate === "lost" || hurt.has(id)) {
            return fate === "lost" && start < 500 ? fate : undefined;
          }
          hurt.add(id);
          return fate;
        };
        expect(proved(run(of, { nth }).end)).toEqual({
          raws: of.part.raws,
          children: of.part.children,
        });
      }),
    );
  });

  it("leaves out what fails twice or misses, and folds what it has; or ends without a proof", () => {
    fc.assert(
      fc.property(
        groupArbitrary,
        limitsArbitrary,
        fc.func(fc.nat(5)),
        fc.boolean(),
        ({ raws, children }, limits, draw, mayShed) => {
          const of = request(raws, children, { ...limits, mayShed });
          const missed = new Set<number>();
          const fates = ["failed", "missed"] as const;
          const nth = (_: number, { id, kind, ...job }: TreeJob) => {
            const fate = fates[draw(id)];
            if (fate !== undefined && kind === "leaf" && "raws" in job) {
              for (const raw of job.raws) missed.add(raw);
            }
            return kind === "leaf" ? fate : undefined;
          };
          const { end, started } = run(of, { nth });
          if (!mayShed && missed.size > 0) {
            expect(end.kind).toBe("missing");
            return;
          }
          for (const job of started) {
            const times = started.filter(({ id }) => id === job.id).length;
            expect(times).toBeLessThanOrEqual(2);
          }
          const isFoldable = raws > 0 || children.length > 1;
          if (missed.size === 0 && isFoldable) expect(end.kind).toBe("proved");
          if (end.kind !== "proved") return;
          expect(proved(end)).toEqual({
            raws: of.part.raws.filter((raw) => !missed.has(raw)),
            children: of.part.children,
          });
        },
      ),
    );
  });

  it("goes on with the largest proof of a fold that fails twice, and never ends with a child", () => {
    const of = request(60, [range(500, 100)], { rawsMax: 32, childrenMax: 2 });
    const nth = (_: number, { kind }: TreeJob) =>
      kind === "fold" ? ("failed" as const) : undefined;
    expect(proved(run(of, { nth }).end)).toEqual({ raws: range(30), children: [] });
  });

  it("folds fewer at once where a lane has no memory for so many", () => {
    const tree = new Tree(request(8, [], { rawsMax: 2 }));
    for (const { id } of tree.ready()) {
      tree.start(id);
      tree.proved(id);
    }
    const [all] = tree.ready();
    expect(all?.shape.children).toBe(4);
    tree.start(all?.id ?? 0);
    tree.narrow(all?.id ?? 0);
    expect(tree.ready().map(({ shape }) => shape.children)).toEqual([3]);
    expect(tree.jobs).toEqual({ leaves: 4, folds: 2, done: 4 });
  });

  it("knows the folds that follow a job", () => {
    const tree = new Tree(request(8, [], { rawsMax: 2, arities: 0b100 }));
    const [first] = tree.ready();
    expect(tree.foldsAfter(first?.id ?? 0)).toEqual([
      { raws: 0, children: 2 },
      { raws: 0, children: 2 },
    ]);
  });
});
