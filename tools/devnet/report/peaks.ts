/** Where the tail of the finality lag comes from: each peak, and the fault before it. Pure. */
import type { RunHeader } from "../run/run-file.js";
import { endOf, isInside, windowsOf, type Fault } from "../run/scenario.js";
import type { LagPoint } from "./counterfactual.js";

/** A lag that is no peak, in slots: beyond it not every second slot may be justified. */
export const LAG_MAX = 9;

/** The last slot of a local maximum. */
export interface Peak {
  seed: number;
  slot: number;
  lag: number;
  isInside: boolean;
  /** The fault that ended last before, or null. */
  fault: Fault | null;
}

export function peaksOf({ seed, scenario }: RunHeader, points: readonly LagPoint[]): Peak[] {
  const windows = windowsOf(scenario);
  return points.flatMap(({ slot, value: lag }, at) => {
    const [before, after] = [points[at - 1]?.value ?? 0, points[at + 1]?.value ?? 0];
    if (lag <= LAG_MAX || before > lag || after >= lag) return [];
    const [fault = null] = scenario.faults
      .filter((each) => endOf(each) <= slot)
      .sort((a, b) => endOf(b) - endOf(a));
    return [{ seed, slot, lag, isInside: isInside(windows, slot), fault }];
  });
}
