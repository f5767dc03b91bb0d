/**
 * The bytes of a submission. They are encoded once, in the node's tick. Each try to send them
 * appends its budgets: fields of a protobuf message may come in any order.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { createFlatEncoder, type FlatEncoded } from "./flat-encoder.js";
import { SubmitSnapshotRequestSchema } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

const encode = createFlatEncoder(SubmitSnapshotRequestSchema);

/** Room for the budgets: two tags of 1 byte, and two varints of a uint32, at most 5 bytes each. */
const BUDGETS_BYTES_MAX = 12;

/** The time left until deadline and fence at one try, in milliseconds. */
export interface Budgets {
  deadlineMs: number;
  fenceMs: number;
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
 * The next call for the same request overwrites these budgets.
 */
export function withBudgets(
  { buffer, length }: FlatEncoded,
  { deadlineMs, fenceMs }: Budgets,
): Buffer {
  const budgets = encode({ deadlineMs: wireMs(deadlineMs), fenceMs: wireMs(fenceMs) });
  return buffer.subarray(0, length + budgets.buffer.copy(buffer, length));
}

/** Rounds down to whole milliseconds, and limits them to the range of a uint32. */
function wireMs(ms: number): number {
  return Math.min(0xffffffff, Math.max(0, Math.floor(ms)));
}
