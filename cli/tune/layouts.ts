/** The ways to divide the cores of a host among provers, each pinned to its own. Pure. */
import { limits } from "../../server/limits.js";

/** One way to divide them: a lane is a device with one proof at a time. */
export interface Layout {
  /** The cores of each lane. */
  readonly cores: readonly (readonly number[])[];
  /** Threads of each prover; 0: one for each of its cores. */
  readonly threads: number;
}

/** Largest share of the cores that a layout may leave out, where they cannot be divided evenly. */
const LEFT_OUT_MAX = 0.2;

/**
 * Returns 1 lane of all cores, 2 of half of them, and so on to lanes of one core. Where processors
 * share a physical core, each is there once more with a thread for each physical core.
 *
 * @param cores in such an order that neighbours share caches
 * @param processorsPerCore 2 where each physical core has two processors (SMT), else 1
 */
export function layoutsOf(cores: readonly number[], processorsPerCore: number): Layout[] {
  const lanesMax = Math.min(cores.length, limits.devicesMax);
  const counts = Array.from({ length: lanesMax }, (_, at) => at + 1).filter((lanes) => {
    const leftOut = cores.length % lanes;
    const isPowerOfTwo = Number.isInteger(Math.log2(lanes));
    return leftOut === 0 || (isPowerOfTwo && leftOut / cores.length <= LEFT_OUT_MAX);
  });
  return counts.flatMap((lanes) => {
    const each = Math.floor(cores.length / lanes);
    const isShared = processorsPerCore > 1 && each % processorsPerCore === 0;
    const threads = isShared ? [0, each / processorsPerCore] : [0];
    return threads.map((count) => layoutOf(cores, lanes, each, count));
  });
}

/** @throws RangeError when there are not `lanes` times `each` cores */
export function layoutOf(
  cores: readonly number[],
  lanes: number,
  each: number,
  threads: number,
): Layout {
  if (lanes * each > cores.length) throw new RangeError("more cores than there are");
  const own = (lane: number) => cores.slice(lane * each, (lane + 1) * each);
  return { cores: Array.from({ length: lanes }, (_, lane) => own(lane)), threads };
}

/** As `4 x 4`, lanes and cores of each; with fewer threads as `1 x 16/8`. */
export function nameOf({ cores, threads }: Layout): string {
  const [first = []] = cores;
  return `${cores.length} x ${first.length}${threads === 0 ? "" : `/${threads}`}`;
}

/** A list such as `1x16,4x4,1x16/8`; undefined where it is invalid, or needs more cores. */
export function parseLayouts(text: string, cores: readonly number[]): Layout[] | undefined {
  const layouts = text.split(",").map((part) => {
    const [, lanes = 0, each = 0, threads = 0] =
      /^\s*(\d{1,3}) ?x ?(\d{1,4})(?:\/(\d{1,4}))?\s*$/.exec(part)?.map(Number) ?? [];
    const fits = lanes >= 1 && lanes <= limits.devicesMax && each >= 1;
    return fits && lanes * each <= cores.length
      ? layoutOf(cores, lanes, each, Number.isNaN(threads) ? 0 : threads)
      : undefined;
  });
  const all = layouts.filter((layout) => layout !== undefined);
  return all.length === layouts.length ? all : undefined;
}
