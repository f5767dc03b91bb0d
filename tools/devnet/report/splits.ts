/** Counts of what a run had, inside and outside the windows of its faults. Pure. */
import { isInside, type Window } from "../run/scenario.js";
import { sum } from "./quantiles.js";

/** A count, by whether its slot belongs to a fault. */
export interface InsideOutside {
  inside: number;
  outside: number;
}

export function splitBy(windows: readonly Window[], slots: readonly number[]): InsideOutside {
  const inside = slots.filter((slot) => isInside(windows, slot)).length;
  return { inside, outside: slots.length - inside };
}

export function addSplits(splits: readonly InsideOutside[]): InsideOutside {
  return {
    inside: sum(splits.map(({ inside }) => inside)),
    outside: sum(splits.map(({ outside }) => outside)),
  };
}
