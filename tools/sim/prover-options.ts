/** How long a simulated prover takes and how much memory, as the weather has it. */
import type { Clock } from "../../server/clock.js";
import { fitsOneJob, foldLimitsOf } from "../../server/work/fold-limits.js";
import { sizeName } from "../../server/work/shape.js";
import type { Shape } from "../../server/work/shape.js";
import type { Random } from "./random.js";
import { DESCRIPTION } from "./sim-prover.js";
import type { SimProverOptions } from "./sim-prover.js";
import { PROVER_BYTES_MAX } from "./weather.js";
import type { Weather } from "./weather.js";

const SETUP_BYTES = 0.5e9;

export interface SimProverModules {
  readonly random: Random;
  readonly weather: Weather;
  readonly clock: Clock;
  /**
   * Called when a proof takes more memory than a prover may hold, what has leaked apart, and when one
   * fold has more than the prover takes.
   */
  broken(what: string): void;
}

export function simProverOptions(
  device: string,
  { random, weather, clock, broken }: SimProverModules,
): SimProverOptions {
  const bornMs = clock.nowMs();
  const limits = foldLimitsOf({ ...DESCRIPTION, ...weather.folds });
  return {
    device,
    setupMs: random.between(200, 6000),
    folds: weather.folds,
    doesStart: !random.chance(weather.startFailures),
    exitMs: random.between(5, 600),
    verifyMs: () => random.between(1, 60),
    proveMs: ({ raws, children }) =>
      paceOf(weather) *
      (800 + 5 * raws + 0.25 * raws * raws + 2600 * children) *
      random.between(1 / (1 + weather.scatter), 1 + weather.scatter),
    residentBytes: () => SETUP_BYTES + (clock.nowMs() - bornMs) * weather.growth,
    proofBytes: (shape) => {
      const bytes = peakBytesOf(shape);
      if (bytes > PROVER_BYTES_MAX) broken(`a proof that takes ${Math.round(bytes / 1e6)} MB`);
      if (!fitsOneJob(limits, shape)) broken(`a fold of ${sizeName(shape)} over the limits`);
      return bytes - SETUP_BYTES;
    },
  };
}

/** Jobs of trees are short, so that several fit before a fence. */
function paceOf({ folds }: Weather): number {
  return folds.rawsMax === undefined ? 1 : 0.12;
}

/** A tenth less than lean_pq takes: with few children, and with many. */
function peakBytesOf({ raws, children }: Shape): number {
  const folds = children === 0 ? [] : [0.6e9 + 0.55e9 * children, 0.3e9 + 0.64e9 * children];
  return 0.9 * (Math.max(0.8e9, ...folds) + 6.3e6 * raws);
}
