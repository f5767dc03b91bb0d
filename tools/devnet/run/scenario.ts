/** The faults of a run, from a file: the same in each mode, at the same slots. */
import { readFileSync } from "node:fs";
import { z } from "zod";

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
  faults: z.array(fault),
});

export type Fault = z.infer<typeof fault>;
export type Scenario = z.infer<typeof schema>;

/** First and last slot that belong to a fault. */
export interface Window {
  from: number;
  to: number;
}

export function readScenario(path: string): Scenario {
  return schema.parse(JSON.parse(readFileSync(path, "utf8")));
}

const endOf = (fault: Fault): number => ("untilSlot" in fault ? fault.untilSlot : fault.slot);

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
