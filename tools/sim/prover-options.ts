/** How long a simulated prover takes and how much memory, as the weather has it. */
import type { Clock } from "../../server/clock.js";
import type { Shape } from "../../server/work/shape.js";
import type { Random } from "./random.js";
import type { SimProverOptions } from "./sim-prover.js";
import { PROVER_BYTES_MAX } from "./weather.js";
import type { Weather } from "./weather.js";

const SETUP_BYTES = 0.5e9;

export interface SimProverModules {
  readonly random: Random;
  readonly weather: Weather;
  readonly clock: Clock;
  /** Called when a proof takes more memory than a prover may hold, what has leaked apart. */
  tooLarge(bytes: number): void;
}

export function simProverOptions(
  device: string,
  { random, weather, clock, tooLarge }: SimProverModules,
): SimProverOptions {
  const bornMs = clock.nowMs();
  return {
    device,
    setupMs: random.between(200, 6000),
    doesStart: !random.chance(weather.startFailures),
    exitMs: random.between(5, 600),
    verifyMs: () => random.between(1, 60),
    proveMs: ({ raws, children }) =>
      (800 + 5 * raws + 0.25 * raws * raws + 2600 * children) *
      random.between(1 / (1 + weather.scatter), 1 + weather.scatter),
    residentBytes: () => SETUP_BYTES + (clock.nowMs() - bornMs) * weather.growth,
    proofBytes: (shape) => {
      const bytes = peakBytesOf(shape);
      if (bytes > PROVER_BYTES_MAX) tooLarge(bytes);
      return bytes - SETUP_BYTES;
    },
  };
}

/** A tenth less than lean_pq takes: with few children, and with many. */
function peakBytesOf({ raws, children }: Shape): number {
  const folds = children === 0 ? [] : [0.6e9 + 0.55e9 * children, 0.3e9 + 0.64e9 * children];
  return 0.9 * (Math.max(0.8e9, ...folds) + 6.3e6 * raws);
}
