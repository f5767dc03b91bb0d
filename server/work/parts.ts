/**
 * Chooses the part of a group that is worth most: the expected weight of a vote in a proof of its
 * shape, times the votes that it adds to the best child of the group, which is a proof already.
 * Which raw signatures are kept changes from slot to slot, so that no vote is left out for ever
 * where the whole never fits into one proof. Pure.
 */
import type { Shape } from "./shape.js";
import { FOLDED_WEIGHT, LEAST_CHANCE } from "./worth.js";
import type { Best, Prospect } from "./worth.js";

/** The part to prove, as indices into the raw signatures and children of its group. */
export interface Part {
  raws: readonly number[];
  children: readonly number[];
  /** Raw signatures of validators in the kept children: not needed, and not counted as shed. */
  covered: readonly number[];
}

/** The inputs of a group by their validators. */
export interface Inputs {
  /** The validator of each raw signature. */
  raws: readonly number[];
  /** The validators of each child. */
  children: readonly (readonly number[])[];
  /** Where in its list the first kept input stands, from 0 to below 1; see `rotationOf`. */
  rotation: number;
}

export interface PartRules {
  /** Whether inputs may be shed. */
  mayShed: boolean;
  prospectOf(shape: Shape): Prospect;
  /** Smallest probability with which a proof starts. Default: `LEAST_CHANCE`. */
  leastChance?: number;
  /** Whether the device takes a proof of this shape. Default: any. */
  isPossible?(shape: Shape): boolean;
}

export interface PartRequest extends Inputs, PartRules {}

/** A smaller part is chosen only if it is worth more than this multiple of a larger one. */
const EQUAL_WITHIN = 1.01;
/** Share of the slots in which children are kept in rotation, not by what they add. */
const ROTATED_SHARE = 0.25;

/**
 * Where the kept inputs begin in their list, as a share of its length from 0 to below 1. The number
 * is a hash of the slot (Stafford's bit mixer): even for a node that submits, say, in every fourth
 * slot only, the same inputs are not left out for ever.
 */
export function rotationOf(slot: bigint): number {
  let mixed = BigInt.asUintN(64, slot + 0x9e3779b97f4a7c15n);
  mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n);
  mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn);
  mixed ^= mixed >> 31n;
  return Number(mixed >> 11n) / 2 ** 53;
}

/** Whether the part can be proved: a proof needs a raw signature or two children. */
export function isProof({ raws, children }: Part): boolean {
  return raws.length > 0 || children.length >= 2;
}

/**
 * Returns the part that is worth most, of equal ones the largest; undefined when none has the least
 * chance. A group with nothing to prove is returned whole.
 */
export function choosePart(request: PartRequest): Part | undefined {
  const parts = new GroupParts(request);
  if (!parts.hasProof) return parts.whole();
  const best = parts.best(request);
  return best && parts.partOf(best.shape);
}

/** What the parts with certain children have in common. */
interface Level {
  /** Votes of these children beyond the best child; those that it has count `FOLDED_WEIGHT`. */
  readonly gain: number;
  /** Raw signatures that these children do not cover. */
  readonly raws: number;
  /** Those of them whose votes the best child does not have; kept before the others. */
  readonly fresh: number;
}

/** The parts of one group, prepared once, to look for the best at several instants. */
export class GroupParts {
  private readonly inBest: ReadonlySet<number>;
  private readonly inRaws: ReadonlySet<number>;
  /** Children in the order in which they are kept, as far as it is known. */
  private readonly order: number[] = [];
  /** Votes of the children in `order`. */
  private readonly ordered = new Set<number>();
  /** The votes that a child would have added when that was last counted. */
  private readonly added = new Map<number, number>();
  /** By the number of children that are kept, as far as `order` goes. */
  private readonly levels: Level[];
  private readonly wholeLevel: Level;

  constructor(private readonly inputs: Inputs) {
    const { raws, children } = inputs;
    this.inBest = new Set(
      children.reduce<readonly number[]>(
        (best, child) => (child.length > best.length ? child : best),
        [],
      ),
    );
    this.inRaws = new Set(raws);
    const fresh = raws.filter((validator) => !this.inBest.has(validator)).length;
    this.levels = [{ gain: 0, raws: raws.length, fresh }];
    this.wholeLevel = this.levelOf(new Set(children.flat()));
  }

  /** Whether the whole can be proved. */
  get hasProof(): boolean {
    return isShapeOfProof(this.wholeShape);
  }

  get wholeShape(): Shape {
    return { raws: this.wholeLevel.raws, children: this.inputs.children.length };
  }

  whole(): Part {
    return this.partOf(this.wholeShape);
  }

  /**
   * The part that is worth most, of equal ones the largest; undefined when none may start. A longer
   * proof takes more time and contains more votes, so most parts need no look: none between two is
   * worth more than the votes of the larger by the weight of the smaller.
   */
  best(rules: PartRules): Best | undefined {
    const { leastChance = LEAST_CHANCE, mayShed, prospectOf, isPossible } = rules;
    let best: Best | undefined;
    const consider = (shape: Shape, gain: number): Prospect | undefined => {
      if (isPossible?.(shape) === false) return undefined;
      const prospect = prospectOf(shape);
      if (prospect.chance < leastChance) return undefined;
      const worth = prospect.weight * gain;
      if (isShapeOfProof(shape) && worth > leastWorth()) best = { shape, worth, ...prospect };
      return prospect;
    };
    const leastWorth = () => (best?.worth ?? 0) * EQUAL_WITHIN;
    /** Looks at the parts with these children and from `few` to `many` raw signatures. */
    const look = (children: number, level: Level, few: number, many: number): void => {
      if (few > many) return;
      const fewest = consider({ raws: few, children }, gainOf(level, few));
      const most = gainOf(level, many);
      if (fewest === undefined || few === many || fewest.weight * most <= leastWorth()) return;
      consider({ raws: many, children }, most);
      const middle = Math.ceil((few + many) / 2);
      look(children, level, middle, many - 1);
      look(children, level, few + 1, middle - 1);
    };
    const { wholeShape: whole, wholeLevel } = this;
    consider(whole, gainOf(wholeLevel, whole.raws));
    if (!mayShed) return best;
    look(whole.children, wholeLevel, whole.children < 2 ? 1 : 0, whole.raws);
    // A part with fewer children and no raw signatures bounds what those with more are worth.
    const bound = gainOf(wholeLevel, whole.raws);
    for (let children = whole.children - 1; children >= 0; children--) {
      const few = children < 2 ? 1 : 0;
      const shape = { raws: children === 0 ? 1 : 0, children };
      if (isPossible?.(shape) === false) continue;
      const { chance, weight } = prospectOf(shape);
      if (chance < leastChance || weight * bound <= leastWorth()) continue;
      const level = this.levelAt(children);
      look(children, level, few, level.raws);
    }
    return best;
  }

  /** The part of this shape, which is one that `best` can return. */
  partOf({ raws: kept, children }: Shape): Part {
    const { inputs, inBest } = this;
    const keptChildren = this.keptChildren(children);
    const covered = new Set(keptChildren.flatMap((child) => inputs.children[child] ?? []));
    const isIn = (validators: ReadonlySet<number>) => (at: number) =>
      validators.has(inputs.raws[at] ?? -1);
    const all = rotated(inputs.raws.length, inputs.rotation);
    const uncovered = all.filter((at) => !isIn(covered)(at));
    const known = uncovered.filter(isIn(inBest));
    const fresh = uncovered.filter((at) => !isIn(inBest)(at));
    const ascending = (indices: readonly number[]) => [...indices].sort((a, b) => a - b);
    return {
      raws: ascending([...fresh, ...known].slice(0, kept)),
      children: ascending(keptChildren),
      covered: ascending(all.filter(isIn(covered))),
    };
  }

  private levelOf(votes: ReadonlySet<number>): Level {
    const { inputs, inBest } = this;
    const raws = inputs.raws.filter((validator) => !votes.has(validator));
    let gain = 0;
    for (const validator of votes) gain += inBest.has(validator) ? FOLDED_WEIGHT : 1;
    const fresh = raws.filter((validator) => !inBest.has(validator)).length;
    return { gain, raws: raws.length, fresh };
  }

  private levelAt(children: number): Level {
    while (this.levels.length <= children) {
      const next = this.nextChild();
      this.order.push(next);
      for (const validator of this.inputs.children[next] ?? []) this.ordered.add(validator);
      this.levels.push(this.levelOf(this.ordered));
    }
    const level = this.levels[children];
    if (level === undefined) throw new Error(`a group has no part with ${children} children`);
    return level;
  }

  private keptChildren(count: number): readonly number[] {
    const { children } = this.inputs;
    if (count === children.length) return [...children.keys()];
    this.levelAt(count);
    return this.order.slice(0, count);
  }

  /** The child to keep next: the one that adds most, but in some slots the next in rotation. */
  private nextChild(): number {
    const { children, rotation } = this.inputs;
    const isRotated = rotation < ROTATED_SHARE;
    const from = isRotated ? rotation / ROTATED_SHARE : rotation;
    const left = rotated(children.length, from).filter((child) => !this.order.includes(child));
    const [first] = left;
    if (first === undefined) throw new Error("a group has no further child");
    if (isRotated) return first;
    // What a child adds grows fewer with each that is kept, so an earlier count is a bound.
    const boundOf = (child: number) => this.added.get(child) ?? Infinity;
    left.sort((a, b) => boundOf(b) - boundOf(a) || 0);
    let [best, most] = [first, -1];
    for (const child of left) {
      if (boundOf(child) <= most) break;
      const added = this.votesAddedBy(children[child] ?? []);
      this.added.set(child, added);
      if (added > most) [best, most] = [child, added];
    }
    return best;
  }

  private votesAddedBy(child: readonly number[]): number {
    let added = 0;
    for (const validator of child) {
      if (this.ordered.has(validator)) continue;
      added += this.inBest.has(validator) || this.inRaws.has(validator) ? FOLDED_WEIGHT : 1;
    }
    return added;
  }
}

function isShapeOfProof({ raws, children }: Shape): boolean {
  return raws > 0 || children >= 2;
}

/** Votes beyond the best child, of a part with these children and so many raw signatures. */
function gainOf({ gain, fresh }: Level, raws: number): number {
  return gain + Math.min(raws, fresh) + FOLDED_WEIGHT * Math.max(0, raws - fresh);
}

/** The indices below `count`: from `rotation · count` on, and after the last from 0. */
function rotated(count: number, rotation: number): number[] {
  const from = Math.floor(rotation * count);
  return Array.from({ length: count }, (_, step) => (from + step) % count);
}
