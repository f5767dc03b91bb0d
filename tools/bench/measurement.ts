/** What `bench.ts` runs: each file of a measurement exports one of these. */
import type { BenchOptions } from "./options.js";
import type { Section } from "./report.js";

export interface Measurement {
  /** For ONLY, and the key in `out/bench.json`. */
  name: string;
  /** How long it takes on two cores, in seconds, for the progress line. */
  seconds(options: BenchOptions): number;
  /** `progress` takes a line about how far it is. */
  run(options: BenchOptions, progress: (line: string) => void): Promise<Section>;
}
