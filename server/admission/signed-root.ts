/** A message of 32 bytes that is no attestation data: the root of a block. */
import type { SignedRoot } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { SignedMessage } from "../../native/addon.js";
import { invalid } from "../errors.js";
import { checkLeafIndex } from "./attestation-data.js";
import { wrongLength } from "./byte-lengths.js";

/**
 * The message, copied. Throws a `Refusal` that names `field` when the root is not 32 bytes, or the
 * slot is over u32.
 */
export function checkedRoot({ root, slot }: SignedRoot, field: string): SignedMessage {
  if (root.length !== 32) throw invalid(`${field}.root`, wrongLength(root, 32));
  checkLeafIndex(slot, `${field}.slot`);
  return { root: root.slice(), slot: Number(slot) };
}
