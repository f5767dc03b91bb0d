/** The learned costs as curves over the size of a proof: one for each device, kind and rate. Pure. */
import type { ActivityModel } from "./activity-model.js";
import type { Cost } from "./answer.js";

/** What a curve counts the size by; merges have one of their own. */
export type CostAxis = "raws" | "children" | "messages";

export interface CostCurve {
  readonly device: string;
  /** Index of the device among those that are shown. */
  readonly series: number;
  /** Index of the rate among those of the device. */
  readonly nth: number;
  /** The rate; undefined where the device has no other, and it needs no mention. */
  readonly logInvRate: number | undefined;
  /** In order of size; empty where nothing was learned. */
  readonly costs: readonly Cost[];
}

/** @param devices those whose curves are shown: each has one at least, which may be empty */
export function costCurves(
  model: Pick<ActivityModel, "costs">,
  axis: CostAxis,
  devices: readonly string[],
): CostCurve[] {
  return devices.flatMap((device, series): CostCurve[] => {
    const learned = (model.costs.get(device) ?? [])
      .filter((cost) => isOn(axis, cost))
      .sort((a, b) => a[axis] - b[axis]);
    const rates = [...new Set(learned.map(({ logInvRate }) => logInvRate))].sort((a, b) => a - b);
    const only = { device, series, nth: 0, logInvRate: undefined, costs: learned };
    if (rates.length < 2) return [only];
    return rates.map((rate, nth) => {
      const costs = learned.filter(({ logInvRate }) => logInvRate === rate);
      return { device, series, nth, logInvRate: rate, costs };
    });
  });
}

function isOn(axis: CostAxis, { raws, children, messages, kind }: Cost): boolean {
  if (axis === "messages") return kind === "merge";
  return kind !== "merge" && messages <= 1 && (axis === "raws" ? children === 0 : raws === 0);
}
