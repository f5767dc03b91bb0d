/** Votes against time: upwards those that came, downwards those that were proved or lost. */
import type { ActivityModel } from "../model/activity-model.js";
import { provedOf } from "../model/figures.js";
import { svg } from "./dom.js";

export const VOTES_HEIGHT = 84;
const HALF = VOTES_HEIGHT / 2 - 4;
const BINS_MS = [250, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000];

export interface VotesGeometry {
  fromMs: number;
  toMs: number;
  /** Instants to horizontal places. */
  x(ms: number): number;
  y: number;
  gutter: number;
}

interface Bin {
  in: number;
  proved: number;
  late: number;
  lost: number;
}

export function drawVotes(model: ActivityModel, geometry: VotesGeometry): Element[] {
  const { fromMs, toMs, x, y, gutter } = geometry;
  const binMs = BINS_MS.find((ms) => (toMs - fromMs) / ms <= 90) ?? 120_000;
  const bins = binsOf(model, binMs);
  const shown = [...bins].filter(([at]) => (at + 1) * binMs > fromMs && at * binMs < toMs);
  const most = Math.max(
    1,
    ...shown.flatMap(([, bin]) => [bin.in, bin.proved + bin.late + bin.lost]),
  );
  const scale = HALF / most;
  const middle = y + VOTES_HEIGHT / 2;
  const label = (text: string, at: number) =>
    svg("text", { class: "node", x: gutter - 8, y: at, "text-anchor": "end" }, text);
  const drawn: Element[] = [
    label(`in, up to ${most}`, middle - 14),
    label(`out, each ${binMs / 1000} s`, middle + 24),
    svg("line", { class: "middle", x1: gutter, x2: x(toMs), y1: middle, y2: middle }),
  ];
  for (const [at, bin] of shown) {
    const left = x(at * binMs) + 0.5;
    const width = Math.max(1, x((at + 1) * binMs) - left - 0.5);
    const bar = (name: string, top: number, votes: number) => {
      const box = { x: left, width, y: top, height: votes * scale };
      if (votes > 0) drawn.push(svg("rect", { class: `bar ${name}`, ...box }));
    };
    bar("votes-in", middle - bin.in * scale, bin.in);
    bar("proved", middle, bin.proved);
    bar("late", middle + bin.proved * scale, bin.late);
    bar("stopped", middle + (bin.proved + bin.late) * scale, bin.lost);
  }
  return drawn;
}

function binsOf({ groups }: ActivityModel, binMs: number): Map<number, Bin> {
  const bins = new Map<number, Bin>();
  const binAt = (atMs: number) => {
    const at = Math.floor(atMs / binMs);
    const bin = bins.get(at) ?? { in: 0, proved: 0, late: 0, lost: 0 };
    bins.set(at, bin);
    return bin;
  };
  for (const { session, size, end } of groups.values()) {
    binAt(session.receivedAtMs).in += size.votes;
    if (end === undefined) continue;
    const proved = provedOf(end.votes);
    const bin = binAt(end.atMs);
    bin[end.status === "proved_late" ? "late" : "proved"] += proved;
    bin.lost += Math.max(0, size.votes - proved);
  }
  return bins;
}
