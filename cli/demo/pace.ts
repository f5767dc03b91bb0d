/** How long the demo's slots are: 4 s, as on a network, or longer where this machine proves slower. */
import type { GetServerInfoResponse } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { ProofKind } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

/** The length of a slot on a network, in milliseconds. */
const NETWORK_SLOT_MS = 4000;
/** What the largest group of the first slots has. */
const RAWS = 32;
/** A slot's votes are worth nothing from the start of the slot after the next: 1.6 slots later. */
export const FENCE_SLOTS = 1.6;
/** Slots longer than this show nothing more. */
const SLOT_MS_MAX = 30_000;

const INTERVALS = 5;

/** The times of the demo, in milliseconds. */
export interface Pace {
  slotMs: number;
  intervalMs: number;
  /** How much longer than on a network a slot is; the scenes' times grow with it. */
  factor: number;
  /** What a slow proof of 32 votes is expected to take; undefined: not known. */
  slowMs: number | undefined;
}

/** Slots in whole seconds, so long that a proof of 32 votes ends by its fence, slow ones included. */
export function paceOf(devices: GetServerInfoResponse["devices"]): Pace {
  const costs = devices.flatMap(({ learnedCosts }) => learnedCosts);
  const found = costs.find(
    ({ kind, rawSignatures, children }) =>
      kind !== ProofKind.MERGE && rawSignatures === RAWS && children === 0,
  );
  const slowMs = found?.proveMsHigh;
  const neededMs = Math.ceil((slowMs ?? 0) / FENCE_SLOTS / 1000) * 1000;
  const slotMs = Math.min(SLOT_MS_MAX, Math.max(NETWORK_SLOT_MS, neededMs));
  return { slotMs, intervalMs: slotMs / INTERVALS, factor: slotMs / NETWORK_SLOT_MS, slowMs };
}
