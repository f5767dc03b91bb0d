/**
 * The bytes of a submission: encoded once, in the node's tick, with the budgets joined to them at
 * each try. Fields of a protobuf message may come in any order.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { createFlatEncoder, type FlatEncoded } from "../../proto/flat-encoder.js";
import { SubmitSnapshotRequestSchema } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

const encode = createFlatEncoder(SubmitSnapshotRequestSchema);

/** Two tags of a byte and two uint32 of 5 at most. */
const BUDGETS_BYTES_MAX = 12;

/** What is left of the budgets at one try, in milliseconds. */
export interface Budgets {
  deadlineMs: number;
  fenceMs: number;
}

/** A copy of everything in it. Throws `TypeError` for what cannot be encoded. */
export function encodeRequest(
  request: Omit<MessageInitShape<typeof SubmitSnapshotRequestSchema>, "$typeName" | keyof Budgets>,
): FlatEncoded {
  return encode(request, BUDGETS_BYTES_MAX);
}

/** Good until the next call for the same request: the budgets are written behind it in place. */
export function withBudgets(
  { buffer, length }: FlatEncoded,
  { deadlineMs, fenceMs }: Budgets,
): Buffer {
  const budgets = encode({ deadlineMs: wireMs(deadlineMs), fenceMs: wireMs(fenceMs) });
  return buffer.subarray(0, length + budgets.buffer.copy(buffer, length));
}

/** A uint32 on the wire. */
function wireMs(ms: number): number {
  return Math.min(0xffffffff, Math.max(0, Math.floor(ms)));
}
