/**
 * What proves for the simulated network: takes snapshots of one group, and calls back with how each has
 * ended.
 */
import type { DecodedGroup } from "../../../server/work/group.js";
import type { Shape } from "../../../server/work/shape.js";
import { Random } from "../../sim/random.js";
import type { Cores } from "../measured/core-costs.js";
import { coreMs } from "../measured/core-costs.js";
import type { SnapshotSpec } from "../scenario/scenario.js";
import { hash } from "../scenario/truth.js";

/**
 * Called once for a group: with the validators of its proof (none of a merge), or without a proof, and
 * then with why it was not started, where that says more: it was foreseen to miss, or replaced.
 */
export type Ended = (
  validators: readonly number[] | undefined,
  why?: "missed" | "superseded",
) => void;

export interface BlockProvers {
  /** Whether a body's merge replaces those of its node that have not begun. */
  readonly canReplace: boolean;
  open(): void;
  /** `ended` is not called for a snapshot that is skipped, and after `cancel`. */
  submit(snapshot: Omit<SnapshotSpec, "groups">, group: DecodedGroup, ended: Ended): Answer;
  cancel(node: string, requestId: string): void;
  /** Calls back for all that has ended by now. */
  readResults(): void;
  /** Kills the prover of this lane from outside, whatever it does. */
  killProver(lane: number): void;
}

/** The parts of the service's answer that a node here goes by. */
export type Answer =
  { kind: "accepted"; accepted: { requestId: string } } | { kind: "skipped"; reason: string };

/** Standard deviation of a proof's logarithm. */
const SCATTER = 0.07;

/** How long this proof takes, on any lane. */
export function proofMs(proof: { seed: number; cores: Cores; name: string; shape: Shape }): number {
  const { seed, cores, name, shape } = proof;
  const random = new Random(hash(`${seed}/${name}/${shape.raws}/${shape.children}`));
  // The sum of four is near enough to normal.
  const normal = (random.next() + random.next() + random.next() + random.next() - 2) * 1.73;
  return coreMs(cores, shape) * Math.exp(SCATTER * normal);
}
