/** What the aggregator's node did of its own duties: proposals and votes. Pure. */
import { proposerOf } from "../chain/state.js";
import { AGGREGATE } from "../node/slot-time.js";
import type { RunHeader, RunRecord } from "../run/run-file.js";

export interface Duties {
  proposals: { due: number; made: number };
  /** How long after the start of its slot each proposal was made, in milliseconds. */
  proposalLateMs: number[];
  /** `inTime`: before the aggregating interval of their slot. */
  votes: { due: number; cast: number; inTime: number };
}

export function dutiesOfAggregator(header: RunHeader, records: readonly RunRecord[]): Duties {
  const { aggregators, ownValidators, slots, slotMs, validators, intervals } = header;
  const own = new Set(aggregators.flatMap((node) => ownValidators[node] ?? []));
  const everySlot = Array.from({ length: slots }, (_, at) => at + 1);
  const due = everySlot.filter((slot) => own.has(proposerOf(slot, validators)));
  const made = records.flatMap((record) =>
    record.kind === "proposed" && aggregators.includes(record.node) && record.slot <= slots
      ? [record.atMs - record.slot * slotMs]
      : [],
  );
  const cast = records.flatMap((record) =>
    record.kind === "voted" && own.has(record.validator) && record.slot <= slots
      ? [record.atMs - record.slot * slotMs]
      : [],
  );
  return {
    proposals: { due: due.length, made: made.length },
    proposalLateMs: made,
    votes: {
      due: own.size * slots,
      cast: cast.length,
      inTime: cast.filter((ms) => ms < (AGGREGATE * slotMs) / intervals).length,
    },
  };
}
