/**
 * The tree of jobs by which a group is proved that is over the limits of one proof: leaves of raw
 * signatures, and folds of proofs in order, see decision 23. Says which jobs are ready, and what the end
 * of each makes of the rest, until one proof is left or none can be. It knows inputs by their positions
 * in the group, not their bytes. No clock, timer or I/O.
 */
import type { FoldLimits } from "./fold-limits.js";
import { foldedAtOnce } from "./fold-limits.js";
import type { Part } from "./parts.js";
import type { Shape } from "./shape.js";

/** A proof that a job folds: a child of the group, or the proof of an earlier job. */
export type TreeProof = { kind: "child"; child: number } | { kind: "job"; job: number };

export type TreeJob = { id: number; shape: Shape } & (
  { kind: "leaf"; raws: readonly number[] } | { kind: "fold"; proofs: readonly TreeProof[] }
);

export type TreeEnd =
  /** The proof of this job is the group's. */
  | { kind: "proved"; job: number; raws: readonly number[]; children: readonly number[] }
  /** Too few inputs are good. */
  | { kind: "nothing" }
  /** Jobs failed or missed: of what is left nothing can be proved, or inputs may not be shed. */
  | { kind: "missing" };

export interface TreeRequest {
  /** The validator of each raw signature of the group. */
  raws: readonly number[];
  /** The validators of each child of the group. */
  children: readonly (readonly number[])[];
  /** What of it is proved. */
  part: Part;
  limits: FoldLimits;
  /** Whether the rest is proved when jobs fail or miss. */
  mayShed: boolean;
}

/** A job that failed so often is left out. */
const TRIES_MAX = 2;

interface Node {
  readonly id: number;
  readonly of:
    { kind: "leaf"; raws: number[] } | { kind: "child"; child: number } | { kind: "fold" };
  /** What a fold has: once it is ready, proofs that are there. */
  parts: Node[];
  parent: Node | undefined;
  /** `there`: its proof is. `out`: it has none, and gets none. */
  state: "waiting" | "ready" | "running" | "there" | "out";
  /** The one proof that was left of a fold, and takes its place. */
  stand: Node | undefined;
  failures: number;
}

export class Tree {
  private readonly nodes: Node[] = [];
  private root: Node;
  private limits: FoldLimits;
  private isMissing = false;
  /** Children of the part of which nothing bad is known. */
  private readonly liveChildren: Set<number>;
  /** Raw signatures that are in no leaf, since a child has their validators. */
  private readonly covered: Set<number>;

  constructor(private readonly request: TreeRequest) {
    const { part, limits } = request;
    this.limits = limits;
    this.liveChildren = new Set(part.children);
    this.covered = new Set(part.covered);
    const children = part.children.map((child) => this.add({ kind: "child", child }, "there"));
    this.root = this.joined([...this.leavesOf(part.raws), ...children]);
  }

  /** How the tree has ended; undefined while a job is to be done. */
  get end(): TreeEnd | undefined {
    if (this.isMissing && !this.request.mayShed) return { kind: "missing" };
    const { state } = this.root;
    const last = baseOf(this.root);
    if (state === "there" && last.of.kind !== "child") {
      return { kind: "proved", job: last.id, ...contentOf(last) };
    }
    if (state !== "there" && state !== "out") return undefined;
    return { kind: this.isMissing ? "missing" : "nothing" };
  }

  /** The jobs that may start, folds first. */
  ready(): TreeJob[] {
    const jobs = this.jobsIn("ready");
    return [
      ...jobs.filter(({ kind }) => kind === "fold"),
      ...jobs.filter(({ kind }) => kind === "leaf"),
    ];
  }

  running(): TreeJob[] {
    return this.jobsIn("running");
  }

  /** The jobs that have not started yet, in an order in which they can. */
  ahead(): TreeJob[] {
    return [...this.jobsIn("ready"), ...this.jobsIn("waiting")];
  }

  /** How many jobs there are of each kind, and how many are done; all may grow. */
  get jobs(): { leaves: number; folds: number; done: number } {
    const jobs = this.nodes.filter(({ of, stand }) => of.kind !== "child" && stand === undefined);
    const leaves = jobs.filter(({ of }) => of.kind === "leaf").length;
    const done = jobs.filter(({ state }) => state === "there" || state === "out").length;
    return { leaves, folds: jobs.length - leaves, done };
  }

  /** The folds that have to follow the job, one after the other. */
  foldsAfter(job: number): Shape[] {
    const shapes: Shape[] = [];
    let { parent } = this.node(job);
    while (parent !== undefined && parent.state === "waiting") {
      shapes.push(shapeOf(parent));
      ({ parent } = parent);
    }
    return shapes;
  }

  start(job: number): void {
    const node = this.node(job);
    if (node.state !== "ready") throw new Error(`job ${job} is ${node.state}, and does not start`);
    node.state = "running";
  }

  /** The job's result is lost: it is ready again. */
  lost(job: number): void {
    const node = this.node(job);
    if (node.state === "running") node.state = "ready";
  }

  /** The job's proof is there. @param bad raw signatures of the leaf that are not in it */
  proved(job: number, bad: readonly number[] = []): void {
    const node = this.node(job);
    this.dropRaws(node, bad);
    this.settle(node, "there");
  }

  /** No raw signature of the leaf is good. */
  empty(job: number): void {
    const node = this.node(job);
    if (node.of.kind === "leaf") this.dropRaws(node, node.of.raws);
    this.settle(node, "out");
  }

  /** The job failed: it is tried again once, and else left out. */
  failed(job: number): void {
    const node = this.node(job);
    node.failures++;
    if (node.failures < TRIES_MAX) node.state = "ready";
    else this.leaveOut(node);
  }

  /** The job is not ready in time, and left out. */
  missed(job: number): void {
    this.leaveOut(this.node(job));
  }

  /**
   * These proofs of the fold, by their places, do not verify. A child is left out, and the raw signatures
   * that it alone covered become leaves; the job that made a proof is tried again.
   */
  bad(job: number, places: readonly number[]): void {
    const fold = this.node(job);
    fold.state = "waiting";
    const bad = places.flatMap((place) => fold.parts[place] ?? []);
    for (const part of bad) {
      if (part.of.kind === "child") {
        part.state = "out";
        this.liveChildren.delete(part.of.child);
      } else if (++part.failures < TRIES_MAX) {
        part.state = "ready";
      } else {
        this.isMissing = true;
        part.state = "out";
      }
    }
    const uncovered = this.uncovered();
    if (uncovered.length > 0)
      this.adopt(fold, [...fold.parts, this.joined(this.leavesOf(uncovered))]);
    this.review(fold);
  }

  /** The lane has no memory for so many proofs at once: fewer are folded from now on. */
  narrow(job: number): void {
    const fold = this.node(job);
    const most = foldedAtOnce(this.limits, fold.parts.length - 1);
    if (fold.of.kind === "leaf" || most < 2) return this.leaveOut(fold);
    this.limits = { ...this.limits, childrenMax: most };
    fold.state = "waiting";
    this.review(fold);
  }

  private node(job: number): Node {
    const node = this.nodes[job];
    if (node === undefined) throw new Error(`the tree has no job ${job}`);
    return node;
  }

  private add(of: Node["of"], state: Node["state"], parts: Node[] = []): Node {
    const node: Node = {
      ...{ id: this.nodes.length, of, parts, state },
      ...{ parent: undefined, stand: undefined, failures: 0 },
    };
    this.nodes.push(node);
    for (const part of parts) part.parent = node;
    return node;
  }

  /** The fewest leaves of these raw signatures, of sizes that differ by one at most. */
  private leavesOf(raws: readonly number[]): Node[] {
    return cut(raws.length, this.limits.rawsMax).map(([from, to]) =>
      this.add({ kind: "leaf", raws: raws.slice(from, to) }, "ready"),
    );
  }

  /** One node of all these, by folds in order. */
  private joined(nodes: readonly Node[]): Node {
    let level = [...nodes];
    while (level.length > 1) level = this.folded(level);
    return level[0] ?? this.add({ kind: "fold" }, "out");
  }

  /** One level of folds above these; one that is left over waits for the next. */
  private folded(level: readonly Node[]): Node[] {
    return levelOf(this.limits, level.length).map(([from, to]) => {
      const [first, ...others] = level.slice(from, to);
      if (first !== undefined && others.length === 0) return first;
      const fold = this.add({ kind: "fold" }, "waiting", level.slice(from, to));
      this.review(fold);
      return fold;
    });
  }

  private adopt(fold: Node, parts: Node[]): void {
    fold.parts = parts;
    for (const part of parts) part.parent = fold;
  }

  private settle(node: Node, state: "there" | "out"): void {
    node.state = state;
    if (node.parent !== undefined) this.review(node.parent);
  }

  /** Looks what a waiting fold has, once each of its parts has a proof or gets none. */
  private review(fold: Node): void {
    if (fold.state !== "waiting") return;
    if (fold.parts.some(({ state }) => state !== "there" && state !== "out")) return;
    const there = fold.parts.filter(({ state }) => state === "there").map(baseOf);
    const [first] = there;
    if (first === undefined) return this.settle(fold, "out");
    if (there.length === 1) {
      fold.stand = first;
      return this.settle(fold, "there");
    }
    let parts = there;
    while (foldedAtOnce(this.limits, parts.length) < parts.length) parts = this.folded(parts);
    this.adopt(fold, parts);
    if (parts.length === there.length) fold.state = "ready";
  }

  /** Of a fold the largest of its proofs goes on alone: as the last one, only that of a job. */
  private leaveOut(node: Node): void {
    this.isMissing = true;
    if (node.of.kind !== "fold") return this.settle(node, "out");
    const isLast = node.parent === undefined;
    const left = node.parts.filter(({ of, state }) => {
      return state === "there" && !(isLast && of.kind === "child");
    });
    const [best] = left.map(baseOf).sort((a, b) => this.votesOf(b) - this.votesOf(a));
    node.stand = best;
    this.settle(node, best === undefined ? "out" : "there");
  }

  private votesOf(node: Node): number {
    const { raws, children } = contentOf(node);
    const all = children.flatMap((child) => this.request.children[child] ?? []);
    return new Set(all).size + raws.length;
  }

  private dropRaws(node: Node, bad: readonly number[]): void {
    if (node.of.kind !== "leaf" || bad.length === 0) return;
    const isBad = new Set(bad);
    node.of.raws = node.of.raws.filter((raw) => !isBad.has(raw));
  }

  /** Takes the raw signatures that no live child covers any more. */
  private uncovered(): number[] {
    const { raws, children } = this.request;
    const inChildren = new Set([...this.liveChildren].flatMap((child) => children[child] ?? []));
    const all = [...this.covered].filter((raw) => !inChildren.has(raws[raw] ?? -1));
    for (const raw of all) this.covered.delete(raw);
    return all.sort((a, b) => a - b);
  }

  private jobsIn(state: Node["state"]): TreeJob[] {
    return this.nodes.filter((node) => node.state === state).flatMap(jobOf);
  }
}

/** A leaf or fold as a job; nothing for a child. */
function jobOf(node: Node): TreeJob[] {
  const { id, of, parts } = node;
  const shape = shapeOf(node);
  if (of.kind === "leaf") return [{ id, shape, kind: "leaf", raws: of.raws }];
  if (of.kind === "child") return [];
  const proofs = parts.map((part): TreeProof => {
    const base = baseOf(part);
    return base.of.kind === "child" ? base.of : { kind: "job", job: base.id };
  });
  return [{ id, shape, kind: "fold", proofs }];
}

function shapeOf({ of, parts }: Node): Shape {
  if (of.kind === "leaf") return { raws: of.raws.length, children: 0 };
  return { raws: 0, children: parts.filter(({ state }) => state !== "out").length };
}

/** Whose proof stands for the node's. */
function baseOf(node: Node): Node {
  return node.stand ?? node;
}

/** The raw signatures and children in the node's proof. */
function contentOf(node: Node): { raws: number[]; children: number[] } {
  const { of, parts, stand } = node;
  if (stand !== undefined) return contentOf(stand);
  if (of.kind === "leaf") return { raws: of.raws, children: [] };
  if (of.kind === "child") return { raws: [], children: [of.child] };
  const all = parts.filter(({ state }) => state === "there").map(contentOf);
  return {
    raws: all.flatMap(({ raws }) => raws),
    children: all.flatMap(({ children }) => children),
  };
}

/** The ranges of the fewest leaves of `count` raw signatures, of sizes that differ by one at most. */
export function cut(count: number, rawsMax: number): [from: number, to: number][] {
  const leaves = Math.ceil(count / rawsMax) || (count > 0 ? 1 : 0);
  const at = (leaf: number) => Math.floor((leaf * count) / leaves);
  return Array.from({ length: leaves }, (_, leaf) => [at(leaf), at(leaf + 1)]);
}

/** The ranges of `count` proofs that one level folds: the largest first, and single ones left over. */
export function levelOf(limits: FoldLimits, count: number): [from: number, to: number][] {
  const ranges: [number, number][] = [];
  for (let from = 0; from < count;) {
    const to = from + Math.max(1, foldedAtOnce(limits, count - from));
    ranges.push([from, to]);
    from = to;
  }
  return ranges;
}
