/** The work of one proof system: its dispatcher and its queue, which know nothing of others. */
import type { ProverDescription } from "../work/prover-description.js";
import type { Dispatcher } from "./dispatcher.js";
import type { GroupQueue } from "./queue.js";

export interface Schedule {
  /** Name of the proof system, as `proofSystemOf` writes it. */
  readonly name: string;
  /** Scheme, revision and sizes; see `Dispatcher.describe`. */
  readonly prover: ProverDescription;
  readonly dispatcher: Dispatcher;
  readonly queue: GroupQueue;
}
