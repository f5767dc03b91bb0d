/** How much memory a prover holds for a proof of a shape: measured with the shipped backend. Pure. */
import type { Shape } from "../../server/work/shape.js";

/** Bytes by the number of raw signatures, and of children; straight lines between and beyond. */
const BY_RAWS = [
  [1, 0.8e9],
  [32, 0.9e9],
  [512, 4e9],
] as const;
const BY_CHILDREN = [
  [1, 0.9e9],
  [2, 1.5e9],
  [3, 1.9e9],
  [4, 2.6e9],
  [8, 5.4e9],
  [16, 10e9],
] as const;
/** A standby that waits: it has been set up, and has proved nothing. */
export const STANDBY_BYTES = 0.3e9;

export function proverBytes({ raws, children }: Shape): number {
  const ofRaws = between(BY_RAWS, raws);
  return children === 0 ? ofRaws : Math.max(ofRaws, between(BY_CHILDREN, children));
}

type Table = readonly (readonly [at: number, bytes: number])[];

function between(table: Table, at: number): number {
  const above = table.findIndex(([size]) => at <= size);
  const next = above < 0 ? table.length - 1 : Math.max(1, above);
  const [[x0, y0] = [0, 0], [x1, y1] = [1, 0]] = [table[next - 1], table[next]];
  return Math.max(table[0]?.[1] ?? 0, y0 + ((at - x0) / (x1 - x0)) * (y1 - y0));
}
