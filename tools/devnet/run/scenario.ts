/** The faults of a run, from a file: the same in each mode, at the same slots. */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { z } from "zod";

/** Of a slot, where faults strike in mid-proof. */
export const FAULT_AT = 0.3;

const slot = z.int().min(1);
const nodes = z.array(z.int().min(0)).min(1);
const fault = z.discriminatedUnion("kind", [
  /** SIGSTOP, and SIGCONT at the start of `untilSlot`: as a paused container. */
  z.strictObject({ kind: z.literal("freeze"), nodes, slot, untilSlot: slot }),
  /** Each of these nodes loses its links to the others. */
  z.strictObject({ kind: z.literal("drop"), nodes, slot, untilSlot: slot }),
  /** SIGKILL in mid-proof, and what supervises it starts it again at once. */
  z.strictObject({ kind: z.literal("kill-prover"), slot }),
  z.strictObject({ kind: z.literal("kill-service"), slot }),
  z.strictObject({ kind: z.literal("kill-node"), nodes, slot }),
]);
const schema = z.strictObject({
  about: z.string(),
  /** Slots after a fault's end in which its effects are still its own. */
  recoverySlots: z.int().min(0),
  /** Validators of the aggregator's node, which proposes in as many slots; default: in turn. */
  aggregatorValidators: z.int().min(1).optional(),
  /** Whether each group has the largest proof of its data as a child. Default: where it decides. */
  foldsChildren: z.boolean().default(false),
  /** Messages of a body that has one proof, in a signed block. Default 0: a proof for each attestation. */
  componentsMax: z.int().min(0).max(8).default(0),
  /** Slots from one measured block proof of the spec's form to the next. Default 0: none. */
  blockProofEvery: z.int().min(0).default(0),
  /** Whether validators of odd index vote as if the latest block had not come. Default: no. */
  hasTwoViews: z.boolean().default(false),
  faults: z.array(fault),
});

export type Fault = z.infer<typeof fault>;
/** `name`: the file's, without its folder and ending. */
export type Scenario = z.infer<typeof schema> & { name: string };

/** First and last slot that belong to a fault. */
export interface Window {
  from: number;
  to: number;
}

export function readScenario(path: string): Scenario {
  return { name: basename(path, ".json"), ...schema.parse(JSON.parse(readFileSync(path, "utf8"))) };
}

/**
 * Every fault `seed - 1` slots later: on which slot a chain recovers depends on what was finalized
 * when the fault began.
 */
export function shifted(scenario: Scenario, seed: number): Scenario {
  const later = (fault: Fault): Fault => {
    const start = fault.slot + seed - 1;
    if (!("untilSlot" in fault)) return { ...fault, slot: start };
    return { ...fault, slot: start, untilSlot: fault.untilSlot + seed - 1 };
  };
  return { ...scenario, faults: scenario.faults.map(later) };
}

/** The last slot of the fault itself, or the one at whose start it ends. */
export const endOf = (fault: Fault): number =>
  "untilSlot" in fault ? fault.untilSlot : fault.slot;

/** Only the faults from which a run of so many slots has time to recover. */
export function fitTo(scenario: Scenario, slots: number): Scenario {
  const faults = scenario.faults.filter((each) => endOf(each) + scenario.recoverySlots <= slots);
  return { ...scenario, faults };
}

export function windowsOf({ faults, recoverySlots }: Scenario): Window[] {
  return faults.map((each) => ({ from: each.slot, to: endOf(each) + recoverySlots }));
}

export function isInside(windows: readonly Window[], slotNumber: number): boolean {
  return windows.some(({ from, to }) => slotNumber >= from && slotNumber <= to);
}
