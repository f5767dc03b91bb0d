/** A measurement that `bench.ts` runs. Each has a file that exports it. */
import type { BenchOptions } from "./options.js";
import type { Section } from "./report.js";

export interface Measurement {
  /** Its name in the variable ONLY, and its key in `out/bench.json`. */
  name: string;
  /** True: it is taken only where ONLY names it. Default: false. */
  isOnRequest?: boolean;
  /** About how many seconds it takes on two cores. */
  seconds(options: BenchOptions): number;
  /** Measures. Calls `progress` with a line about how far it is. */
  run(options: BenchOptions, progress: (line: string) => void): Promise<Section>;
}
