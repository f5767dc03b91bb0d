/**
 * What proofs really take, unknown to the service: a table of measured times, scaled by the speed
 * of each device, which drifts, and by a scatter of each proof. A function of the seed, the group
 * and its shape alone, so that every policy faces the same world.
 */
import { Random } from "../../sim/random.js";
import type { Shape } from "../../../server/work/shape.js";
import { smallestShape } from "../../../server/work/shape.js";
import type { GroupSpec } from "./group-spec.js";
import { shapeOfGroup } from "./group-spec.js";

export interface TruthOptions {
  seed: number;
  /** Of each lane, as a multiple of the table's time. */
  speeds: readonly number[];
  /** Children cost this multiple of the table's. */
  childFactor: number;
  /** Standard deviation of a proof around its shape's mean, relative. */
  scatter: number;
  /** Share of proofs that take two to four times as long as their shape. */
  slow: number;
  /** Share of attempts that end the prover half way. */
  crashes: number;
  /** The device's speed wanders by this much around its mean, over about 20 slots. */
  drift: number;
}

/** Whether a group's inputs were verified before. */
type Inputs = "unverified" | "verified";

/** Verification of a group's raw signatures, of one child or of the proof. */
export const VERIFY_MS = 20;
/** From SIGKILL, or a crash, to the end of the process. */
export const EXIT_MS = 100;
export const SETUP_MS = 4000;
const DRIFT_SLOTS = 20;

/** Milliseconds on two cores, measured; straight lines in between and beyond. */
const RAW_TABLE = [
  [1, 800],
  [16, 850],
  [32, 1100],
  [64, 2100],
  [96, 3700],
  [256, 14_000],
] as const;
const CHILD_MS = 2750;
const RAW_BESIDE_CHILD_MS = 42;

export function tableMs({ raws, children }: Shape): { rawMs: number; childMs: number } {
  if (children > 0) return { rawMs: raws * RAW_BESIDE_CHILD_MS, childMs: children * CHILD_MS };
  const above = RAW_TABLE.findIndex(([size]) => raws <= size);
  const at = above < 0 ? RAW_TABLE.length - 1 : Math.max(1, above);
  const [[x0, y0], [x1, y1]] = [RAW_TABLE[at - 1] ?? RAW_TABLE[0], RAW_TABLE[at] ?? RAW_TABLE[1]];
  return { rawMs: y0 + ((raws - x0) / (x1 - x0)) * (y1 - y0), childMs: 0 };
}

export class Truth {
  constructor(readonly options: TruthOptions) {}

  /** Of the proof alone. */
  proveMs(lane: number, { root, slot }: GroupSpec, shape: Shape): number {
    const { seed, speeds, scatter, slow, drift } = this.options;
    const random = new Random(hash(`${seed}/${root}/${shape.raws}/${shape.children}`));
    // The sum of four is near enough to normal.
    const normal = (random.next() + random.next() + random.next() + random.next() - 2) * 1.73;
    const slowness = random.chance(slow) ? random.between(2, 4) : 1;
    const wander = 1 + drift * Math.sin((2 * Math.PI * (slot + seed)) / DRIFT_SLOTS);
    const speed = (speeds[lane] ?? 1) * wander;
    return this.meanMs(shape) * speed * Math.exp(scatter * normal) * slowness;
  }

  /** On a device of speed 1. */
  protected meanMs(shape: Shape): number {
    const { rawMs, childMs } = tableMs(shape);
    return rawMs + childMs * this.options.childFactor;
  }

  /** The lane is busy for so long: inputs verified, unless they are; proof made, proof verified. */
  laneMs(lane: number, group: GroupSpec, shape: Shape, inputs: Inputs = "unverified"): number {
    const checkMs = inputs === "verified" ? VERIFY_MS : verifyMs(shape);
    return this.proveMs(lane, group, shape) + checkMs;
  }

  wholeMs(lane: number, group: GroupSpec): number {
    return this.laneMs(lane, group, shapeOfGroup(group));
  }

  /** The least of the group that may be started: one raw, else two children; or the whole. */
  smallestMs(lane: number, group: GroupSpec, mayShed: boolean, inputs?: Inputs): number {
    const least = group.raws.length > 0 ? smallestShape : { raws: 0, children: 2 };
    return this.laneMs(lane, group, mayShed ? least : shapeOfGroup(group), inputs);
  }

  /** Whether the nth attempt at this content, from 0, ends the prover. */
  crashes(content: string, nth: number): boolean {
    const { seed, crashes } = this.options;
    return crashes > 0 && new Random(hash(`${seed}/crash/${content}/${nth}`)).chance(crashes);
  }
}

function verifyMs({ raws, children }: Shape): number {
  return VERIFY_MS * ((raws > 0 ? 1 : 0) + children + 1);
}

/** FNV-1a. */
export function hash(text: string): number {
  let state = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    state = Math.imul(state ^ text.charCodeAt(at), 0x01000193);
  }
  return state >>> 0;
}
