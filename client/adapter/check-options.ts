/** Checks what a node gives to `TickAggregator`. Each function throws `TypeError`. */
import { EVENT_BYTES_MAX } from "../rpc/live-results.js";
import { STEPS_MAX } from "./request-encoding.js";
import type { SlotClock, StepInit } from "./slot-clock.js";
import { slotTimesOf } from "./slot-clock.js";

const NODE_ID = /^[A-Za-z0-9._-]{1,64}$/;
const UINT64_MAX = 2n ** 64n - 1n;
const UINT32_MAX = 2 ** 32 - 1;
const WEIGHT_MAX = 1_000_000;

/** Milliseconds from the tick, and what else a submission says. */
export interface SubmissionValues {
  deadlineMs: number;
  fenceMs: number;
  holdMs: number;
  steps: readonly StepInit[];
  minInputs?: number;
}

/** Throws for the options of an adapter with which no snapshot could ever be submitted. */
export function checkAdapterOptions(options: {
  nodeId: string;
  nodeEpoch: bigint;
  timeToFence: SlotClock | ((slot: number) => number);
  receiveBytesMax: number | undefined;
}): void {
  const { nodeId, nodeEpoch, timeToFence, receiveBytesMax = Infinity } = options;
  if (!NODE_ID.test(nodeId))
    throw new TypeError(
      `nodeId is ${JSON.stringify(nodeId)}: give 1 to 64 characters of A-Z a-z 0-9 . _ -`,
    );
  if (typeof nodeEpoch !== "bigint" || nodeEpoch < 0n || nodeEpoch > UINT64_MAX)
    throw new TypeError(
      `nodeEpoch is ${String(nodeEpoch)}: give a bigint from 0n to 2n ** 64n - 1n`,
    );
  if (!(receiveBytesMax >= EVENT_BYTES_MAX))
    throw new TypeError(
      `receiveBytesMax is ${receiveBytesMax}: give at least the ${EVENT_BYTES_MAX} bytes of an event`,
    );
  if (typeof timeToFence !== "function") checkSlotClock(timeToFence);
}

function checkSlotClock(clock: SlotClock): void {
  const { slotMs, phaseMs, intervals } = slotTimesOf(clock);
  if (!(slotMs > 0 && Number.isFinite(slotMs)))
    throw new TypeError(`timeToFence.slotMs is ${slotMs}: give the milliseconds of a slot`);
  if (!Number.isFinite(phaseMs))
    throw new TypeError(`timeToFence.genesisUnixMs is ${phaseMs}: give milliseconds since 1970`);
  if (!(Number.isInteger(intervals) && intervals > 0))
    throw new TypeError(`timeToFence.intervals is ${intervals}: give a whole number from 1`);
}

/** Throws for values of a submission that cannot be sent, or that every service refuses. */
export function checkSubmission(values: SubmissionValues): void {
  const { deadlineMs, fenceMs, holdMs, steps, minInputs = 0 } = values;
  if (!Number.isFinite(fenceMs))
    throw new TypeError(`invalid time to the fence ${fenceMs}: return finite milliseconds`);
  if (Number.isNaN(deadlineMs)) throw new TypeError("deadlineMs is NaN: give milliseconds");
  if (Number.isNaN(holdMs)) throw new TypeError("holdMs is NaN: give milliseconds");
  if (!(Number.isInteger(minInputs) && minInputs >= 0 && minInputs <= UINT32_MAX))
    throw new TypeError(`minInputs is ${minInputs}: give a whole number from 0 to ${UINT32_MAX}`);
  if (steps.length > STEPS_MAX)
    throw new TypeError(`steps has ${steps.length} entries: give at most ${STEPS_MAX}`);
  for (const [index, step] of steps.entries()) checkStep(step, index, steps[index - 1]);
}

function checkStep({ untilMs, weight }: StepInit, index: number, before?: StepInit): void {
  if (Number.isNaN(untilMs))
    throw new TypeError(`steps[${index}].untilMs is NaN: give milliseconds`);
  if (!(Number.isInteger(weight) && weight >= 1 && weight <= WEIGHT_MAX))
    throw new TypeError(
      `steps[${index}].weight is ${weight}: give a whole number from 1 to ${WEIGHT_MAX}`,
    );
  if (before === undefined) return;
  if (untilMs < before.untilMs)
    throw new TypeError(
      `steps[${index}].untilMs is ${untilMs}, below the ${before.untilMs} of the step before: ` +
        "give ascending times",
    );
  if (weight >= before.weight)
    throw new TypeError(
      `steps[${index}].weight is ${weight}, not below the ${before.weight} of the step before: ` +
        "give descending weights",
    );
}
