/** What a lane is given of its device: how to start provers on it, and where its costs are kept. */
import type { Prover, FoldInputs } from "../prover/prover.js";
import type { CostStore } from "./costs/cost-file.js";

export interface Device {
  /** Names the device in logs, metrics, its lock file and its cost file. */
  readonly id: string;
  /** Number of cores that its provers use; undefined where that is not known. */
  readonly cores?: number | undefined;
  /** What its provers load, equal for devices with the same provers; undefined where not known. */
  readonly backend?: { readonly library: string; readonly config: string } | undefined;
  /** Begins to set a prover up; returns at once. */
  startProver(): Prover;
  /**
   * One message signed by one or two: with their proofs the device measures its speed, with the second
   * one that of a child too. Undefined: it does not.
   */
  readonly calibration?: FoldInputs | undefined;
  /** Keeps learned costs across restarts; undefined: they are not kept. */
  readonly costStore?: CostStore | undefined;
}
