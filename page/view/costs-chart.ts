/**
 * The learned costs of the devices as curves: the median against the number of inputs, with a band from
 * the 2nd to the 98th percentile, and the proofs that were made as dots.
 */
import type { ActivityModel } from "../model/activity-model.js";
import type { Cost } from "../model/answer.js";
import type { CostAxis, CostCurve } from "../model/cost-curves.js";
import { costCurves } from "../model/cost-curves.js";
import { msText, proofMsOf } from "../model/figures.js";
import { svg } from "./dom.js";

const [WIDTH, HEIGHT] = [520, 260];
const [LEFT, RIGHT, TOP, BOTTOM] = [58, 12, 12, 34];

/** What the horizontal axis counts. */
export const axisNames: Readonly<Record<CostAxis, string>> = {
  raws: "raw signatures, no children",
  children: "children, no raw signatures",
  messages: "messages of a merge",
};

/** How the lines of a device's rates differ: there are so many kinds of line. */
const LINES = 3;
/** The class of a curve: its device has a colour, and its rate a kind of line. */
export const lookOfCurve = ({ series, nth }: CostCurve) =>
  `series-${series % 6} rate-${nth % LINES}`;
/** What a legend calls a rate; empty where the device has one alone. */
export const rateText = ({ logInvRate }: CostCurve) =>
  logInvRate === undefined ? "" : ` · log_inv_rate ${logInvRate}`;

/** Logarithmic in both directions: costs and sizes span three orders of magnitude. */
class Scales {
  constructor(
    private readonly xs: readonly [least: number, most: number],
    private readonly ys: readonly [least: number, most: number],
  ) {}

  x(value: number): number {
    return LEFT + share(value, this.xs) * (WIDTH - LEFT - RIGHT);
  }

  y(value: number): number {
    return HEIGHT - BOTTOM - share(value, this.ys) * (HEIGHT - TOP - BOTTOM);
  }

  axes(): Element[] {
    const drawn: Element[] = [];
    for (let ms = 1; ms <= this.ys[1]; ms *= 10) {
      if (ms < this.ys[0]) continue;
      const y = this.y(ms);
      drawn.push(svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y }));
      const text = { class: "tick", x: LEFT - 6, y: y + 4, "text-anchor": "end" };
      drawn.push(svg("text", text, ms < 1000 ? `${ms} ms` : `${ms / 1000} s`));
    }
    for (let size = 1; size <= this.xs[1]; size *= 2) {
      if (size < this.xs[0]) continue;
      const text = { class: "tick", x: this.x(size), y: HEIGHT - BOTTOM + 16 };
      drawn.push(svg("text", { ...text, "text-anchor": "middle" }, String(size)));
    }
    return drawn;
  }
}

function share(value: number, [least, most]: readonly [number, number]): number {
  const [low, high] = [Math.log(least), Math.log(Math.max(most, least * 1.01))];
  return Math.min(1, Math.max(0, (Math.log(Math.max(value, least)) - low) / (high - low)));
}

/** @param devices those whose curves are shown, in the order of their colours */
export function drawCosts(
  element: SVGSVGElement,
  model: ActivityModel,
  axis: CostAxis,
  devices: readonly string[],
): void {
  const curves = costCurves(model, axis, devices);
  const all = curves.flatMap(({ costs }) => costs);
  element.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  const caption = { class: "tick", x: (LEFT + WIDTH) / 2, y: HEIGHT - 4, "text-anchor": "middle" };
  const children: Element[] = [svg("text", caption, axisNames[axis])];
  if (all.length > 0) {
    const scales = scalesOf(all, axis);
    children.push(...scales.axes());
    for (const each of curves) children.push(...drawCurve(each, axis, scales));
    children.push(...dots(model, axis, devices, scales));
  } else {
    const text = { class: "more", x: (LEFT + WIDTH) / 2, y: HEIGHT / 2, "text-anchor": "middle" };
    children.push(svg("text", text, "nothing was learned of such proofs yet"));
  }
  element.replaceChildren(...children);
}

function scalesOf(all: readonly Cost[], axis: CostAxis): Scales {
  const sizes = all.map((cost) => Math.max(1, cost[axis]));
  const lows = all.map(({ lowMs }) => Math.max(1, lowMs));
  const highs = all.map(({ highMs }) => Math.max(1, highMs));
  // Whole powers of ten, so that the curve keeps its place while it is learned.
  const least = 10 ** Math.floor(Math.log10(Math.min(...lows)));
  const most = 10 ** Math.ceil(Math.log10(Math.max(...highs)));
  return new Scales([Math.min(...sizes), Math.max(...sizes)], [least, most]);
}

function drawCurve(curve: CostCurve, axis: CostAxis, scales: Scales): Element[] {
  const { costs } = curve;
  const look = lookOfCurve(curve);
  const place = (cost: Cost, ms: number) => `${scales.x(cost[axis])},${scales.y(ms)}`;
  const upper = costs.map((cost) => place(cost, cost.highMs));
  const lower = costs.map((cost) => place(cost, cost.lowMs)).reverse();
  const median = costs.map((cost) => place(cost, cost.ms)).join(" ");
  return [
    svg("polygon", { class: `cost-band ${look}`, points: [...upper, ...lower].join(" ") }),
    svg("polyline", { class: `cost-line ${look}`, points: median }),
    ...costs.map((cost) => {
      const dot = {
        class: `cost-point ${look}`,
        cx: scales.x(cost[axis]),
        cy: scales.y(cost.ms),
      };
      const text =
        `${cost[axis]} ${axis}${rateText(curve)}: ${msText(cost.ms)}, ` +
        `most likely ${msText(cost.lowMs)} to ${msText(cost.highMs)}`;
      return svg("circle", { ...dot, r: 2.5 }, svg("title", {}, text));
    }),
  ];
}

/** Proofs that were made, of the kind that the axis counts. */
function dots(
  model: ActivityModel,
  axis: CostAxis,
  devices: readonly string[],
  scales: Scales,
): Element[] {
  return devices.flatMap((device, at) =>
    (model.lanes.get(device) ?? []).slice(-200).flatMap((bar) => {
      const { proof } = bar;
      const proofMs = proofMsOf(bar, model);
      if (proof === undefined || proofMs === undefined) return [];
      const { raws, children, messages } = proof;
      const isMerge = messages > 0;
      const isOther = axis === "raws" ? children > 0 : raws > 0;
      if (isMerge !== (axis === "messages") || (!isMerge && isOther)) return [];
      const dot = { class: `made series-${at % 6}`, cx: scales.x(proof[axis]), r: 3 };
      return [svg("circle", { ...dot, cy: scales.y(proofMs) })];
    }),
  );
}
