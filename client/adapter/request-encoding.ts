/**
 * The bytes of a submission. They are encoded once, in the node's tick; each try appends the budgets
 * to them. Fields of a protobuf message may come in any order.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { createFlatEncoder, type FlatEncoded } from "./flat-encoder.js";
import { SubmitSnapshotRequestSchema } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

const encode = createFlatEncoder(SubmitSnapshotRequestSchema);

/** Two tags of 1 byte and two uint32 of at most 5 bytes. */
const BUDGETS_BYTES_MAX = 12;

/** The time left until deadline and fence at one try, in milliseconds. */
export interface Budgets {
  deadlineMs: number;
  fenceMs: number;
}

/** Encodes and so copies the request. Throws `TypeError` for a value that its field cannot hold. */
export function encodeRequest(
  request: Omit<MessageInitShape<typeof SubmitSnapshotRequestSchema>, "$typeName" | keyof Budgets>,
): FlatEncoded {
  return encode(request, BUDGETS_BYTES_MAX);
}

/**
 * The request with budgets, written in place behind the request's bytes. The next call for the same
 * request overwrites them.
 */
export function withBudgets(
  { buffer, length }: FlatEncoded,
  { deadlineMs, fenceMs }: Budgets,
): Buffer {
  const budgets = encode({ deadlineMs: wireMs(deadlineMs), fenceMs: wireMs(fenceMs) });
  return buffer.subarray(0, length + budgets.buffer.copy(buffer, length));
}

/** Whole milliseconds within a uint32. */
function wireMs(ms: number): number {
  return Math.min(0xffffffff, Math.max(0, Math.floor(ms)));
}
