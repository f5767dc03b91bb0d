/**
 * The bytes of a submission. They are encoded once, in the node's tick. Each try to send them
 * appends its budgets: fields of a protobuf message may come in any order.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { createFlatEncoder, type FlatEncoded } from "./flat-encoder.js";
import { SubmitSnapshotRequestSchema } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

const encode = createFlatEncoder(SubmitSnapshotRequestSchema);

/** Most steps of a request, as the service has it. */
export const STEPS_MAX = 8;

/**
 * Room for the budgets: deadline and fence with a tag of 1 byte and a varint of a uint32, at most 5
 * bytes. Each step has a tag, a length and two such fields.
 */
const BUDGETS_BYTES_MAX = 2 * 6 + STEPS_MAX * (2 + 2 * 6);

/** The time left at one try, in milliseconds. */
export interface Budgets {
  deadlineMs: number;
  fenceMs: number;
  steps: readonly { untilMs: number; weight: number }[];
}

/**
 * Encodes, and so copies, the request, and leaves room for the budgets. Throws `TypeError` for a
 * value that its field cannot hold.
 */
export function encodeRequest(
  request: Omit<MessageInitShape<typeof SubmitSnapshotRequestSchema>, "$typeName" | keyof Budgets>,
): FlatEncoded {
  return encode(request, BUDGETS_BYTES_MAX);
}

/**
 * Returns the request with the budgets, which it writes into the room behind the request's bytes.
 * A step that has passed is sent with 0: with another number of steps, a try
 * would be another request. The next call for the same request overwrites these budgets.
 */
export function withBudgets({ buffer, length }: FlatEncoded, budgets: Budgets): Buffer {
  const steps = budgets.steps.map(({ untilMs, weight }) => ({ untilMs: wireMs(untilMs), weight }));
  const deadlineMs = wireMs(budgets.deadlineMs);
  const appended = encode({ deadlineMs, fenceMs: wireMs(budgets.fenceMs), steps });
  return buffer.subarray(0, length + appended.buffer.copy(buffer, length));
}

/** Rounds down to whole milliseconds, and limits them to the range of a uint32. */
export function wireMs(ms: number): number {
  return Math.min(0xffffffff, Math.max(0, Math.floor(ms)));
}
