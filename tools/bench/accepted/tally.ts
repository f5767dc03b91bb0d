/** Counts how accepted groups ended, and gives shares with their interval. Pure. */
import type { Outcome } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { OutcomeReason } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { bitsToIndices } from "../../../proto/bitlist.js";
import { endingName } from "../crowd/scenario.js";
import type { Row } from "../report.js";

export interface Counts {
  /** Accepted groups that were neither cancelled nor superseded, and their votes. */
  groups: number;
  votes: number;
  /** Of these, what was in a proof at the node before the fence. */
  groupsInTime: number;
  votesInTime: number;
  /** Apart from the above. */
  cancelled: number;
  /** Groups by how they ended, and snapshots that were not accepted by their reason. */
  endings: Record<string, number>;
  skipped: Record<string, number>;
}

export const noCounts = (): Counts => ({
  ...{ groups: 0, votes: 0, groupsInTime: 0, votesInTime: 0, cancelled: 0 },
  ...{ endings: {}, skipped: {} },
});

/** @param resultMs from the submission to the outcome at the node */
export function count(
  counts: Counts,
  { outcome, resultMs }: { outcome: Outcome; resultMs: number },
  { votes, fenceMs }: { votes: number; fenceMs: number },
): void {
  const name = endingName(outcome);
  counts.endings[name] = (counts.endings[name] ?? 0) + 1;
  const { reason } = outcome;
  if (reason === OutcomeReason.CANCELLED || reason === OutcomeReason.SUPERSEDED) {
    counts.cancelled++;
    return;
  }
  counts.groups++;
  counts.votes += votes;
  if (outcome.proof.length === 0 || resultMs >= fenceMs) return;
  counts.groupsInTime++;
  counts.votesInTime += bitsToIndices(outcome.participants).length;
}

export function countSkipped(counts: Counts, reason: string): void {
  counts.skipped[reason] = (counts.skipped[reason] ?? 0) + 1;
}

/** Deviations from the mean of a normal distribution between which 95 % lie. */
const Z = 1.96;

/** Wilson's 95 % interval of a share of `of` independent samples; 0 to 1 without any. */
export function wilson(share: number, of: number): [low: number, high: number] {
  if (of === 0) return [0, 1];
  const centre = share + Z ** 2 / (2 * of);
  const half = Z * Math.sqrt((share * (1 - share)) / of + (Z / (2 * of)) ** 2);
  const scale = 1 + Z ** 2 / of;
  return [Math.max(0, (centre - half) / scale), Math.min(1, (centre + half) / scale)];
}

export function shares({ groups, votes, groupsInTime, votesInTime }: Counts) {
  return {
    groups: groups === 0 ? NaN : groupsInTime / groups,
    votes: votes === 0 ? NaN : votesInTime / votes,
  };
}

/** A row of the table. The votes of one group share its fate, so both intervals are of groups. */
export function rowOf(load: number, counts: Counts): Row {
  const { groups, votes } = shares(counts);
  const skipped = Object.values(counts.skipped).reduce((sum, each) => sum + each, 0);
  return {
    load,
    accepted: counts.groups,
    skipped,
    "cancelled apart": counts.cancelled,
    "proved before the fence": shareText(groups, counts.groups),
    votes: counts.votes,
    "votes in time": shareText(votes, counts.groups),
  };
}

function shareText(share: number, of: number): string {
  if (Number.isNaN(share)) return "none yet";
  const [low, high] = wilson(share, of);
  const percent = (value: number) => (100 * value).toFixed(2);
  return `${percent(share)} % (${percent(low)} to ${percent(high)})`;
}
