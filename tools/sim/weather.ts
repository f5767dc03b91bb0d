/** What a seed makes of one simulated run: how large it is and how it misbehaves. */
import type { LaneOptions } from "../../server/lane/lane-events.js";
import type { Random } from "./random.js";

/** The memory ceiling of every device: some groups would pass it. */
export const PROVER_BYTES_MAX = 1.6e9;

export interface Weather {
  devices: number;
  standbys: 0 | 1;
  nodes: number;
  /** Of each message between scheduler and lane. */
  loss: number;
  doubling: number;
  delayMs: number;
  /** Faults a slot and device. */
  kills: number;
  silences: number;
  startFailures: number;
  poison: number;
  /** Share of groups that several nodes have alike. */
  identical: number;
  /** Share of snapshots that are of merges. */
  merges: number;
  /** Scatter of a proof's time around the cost table. */
  scatter: number;
  growth: number;
  /** Devices are timed by a proof before they take work. */
  isCalibrated: boolean;
}

export function drawWeather(random: Random): Weather {
  const isCalm = random.chance(0.25);
  const rate = (max: number) => (isCalm || random.chance(0.5) ? 0 : random.between(0, max));
  return {
    devices: random.pick([1, 1, 1, 2, 4]),
    standbys: random.pick([0, 1, 1]),
    nodes: random.pick([1, 2, 4, 8]),
    loss: rate(0.2),
    doubling: rate(0.3),
    delayMs: random.pick([0, 0, 5, 100, 1500]),
    kills: rate(1),
    silences: rate(0.3),
    startFailures: rate(0.5),
    poison: rate(0.2),
    identical: random.pick([0, 0.2, 0.6]),
    scatter: random.pick([0.1, 0.5, 2, 8]),
    growth: rate(200_000),
    isCalibrated: random.chance(0.5),
    merges: random.pick([0, 0.2, 0.5]),
  };
}

/** What lanes are allowed: lots of time to refresh their costs, so that it happens. */
export function laneOptionsOf({ standbys }: Weather): LaneOptions {
  const standbyBytesMax = standbys === 1 ? Infinity : 0;
  return { standbyBytesMax, residentBytesMax: PROVER_BYTES_MAX, refreshShare: 0.1 };
}
