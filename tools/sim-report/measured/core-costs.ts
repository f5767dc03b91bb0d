/**
 * What proofs took on 2 to 16 cores of one Xeon with `py-lean-pq` 0.7.0, measured: the costs of the
 * simulated devices of which only the number of cores is given. Pure.
 */
import type { Shape } from "../../../server/work/shape.js";

export type Cores = 2 | 4 | 8 | 16;

/** Pairs of a number of inputs and milliseconds; straight lines in between and beyond. */
type Table = readonly (readonly [inputs: number, ms: number])[];

interface CoreCosts {
  /** By the number of raw signatures. */
  readonly raws: Table;
  /** By the number of children: of a fold, or the proofs of a merge's components. */
  readonly children: Table;
}

/** One child is measured with a raw signature beside it, which is next to nothing. */
const measured: Readonly<Record<Cores, CoreCosts>> = {
  2: {
    raws: at({ 1: 650, 32: 780, 128: 2930 }),
    children: at({ 1: 1900, 2: 3000, 3: 4300, 4: 5700 }),
  },
  4: { raws: at({ 1: 400, 32: 610, 128: 1960, 512: 6400 }), children: at({ 1: 1100, 2: 2000 }) },
  8: {
    raws: at({ 1: 320, 32: 410, 128: 1210, 512: 4100 }),
    children: at({ 1: 880, 2: 1250, 4: 2200 }),
  },
  16: {
    raws: at({ 1: 240, 32: 290, 128: 820, 512: 2900 }),
    children: at({ 1: 570, 2: 980, 4: 1700, 8: 3100, 16: 6100 }),
  },
};

/** Milliseconds for a proof of this shape. Raw signatures beside children add what more of them do. */
export function coreMs(cores: Cores, { raws, children }: Shape): number {
  const costs = measured[cores];
  if (children === 0) return read(costs.raws, raws);
  return read(costs.children, children) + read(costs.raws, Math.max(1, raws)) - read(costs.raws, 1);
}

function at(entries: Readonly<Record<number, number>>): Table {
  return Object.entries(entries).map(([inputs, ms]) => [Number(inputs), ms] as const);
}

function read(table: Table, inputs: number): number {
  const above = table.findIndex(([size]) => inputs <= size);
  const to = Math.max(1, above < 0 ? table.length - 1 : above);
  const [x0, y0] = table[to - 1] ?? [0, 0];
  const [x1, y1] = table[to] ?? [1, 0];
  return y0 + ((inputs - x0) / (x1 - x0)) * (y1 - y0);
}
