/** What a seed makes of one simulated run: how large it is and how it misbehaves. */
import type { LaneOptions } from "../../server/lane/lane-events.js";
import type { Random } from "./random.js";
import type { FoldsOfProver } from "./sim-prover.js";

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
  /** What one fold takes: larger groups are trees of jobs. */
  folds: FoldsOfProver;
}

export function drawWeather(random: Random): Weather {
  const isCalm = random.chance(0.25);
  const rate = (max: number) => (isCalm || random.chance(0.5) ? 0 : random.between(0, max));
  const folds = drawFolds(random);
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
    // Else trees would be left out as too long.
    isCalibrated: folds.rawsMax !== undefined || random.chance(0.5),
    merges: random.pick([0, 0.2, 0.5]),
    folds,
  };
}

/** In every second run without limits; else small leaves, folded in twos and fours, or as many as there are. */
export function drawFolds(random: Random): FoldsOfProver {
  if (random.chance(0.5)) return {};
  const rawsMax = random.pick([3, 8, 16]);
  const separatesRaws = random.chance(0.7);
  return { rawsMax, rawsBesideMax: rawsMax, separatesRaws, arities: random.pick([0, 0b10100]) };
}

/** What lanes are allowed: lots of time to refresh their costs, so that it happens. */
export function laneOptionsOf({ standbys }: Weather): LaneOptions {
  const standbyBytesMax = standbys === 1 ? Infinity : 0;
  return { standbyBytesMax, residentBytesMax: PROVER_BYTES_MAX, refreshShare: 0.1 };
}
