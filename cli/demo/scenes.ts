/** What the demo's node has seen by the aggregating interval of each slot. */
import type { CommittedVotes, GroupInit } from "../example/votes.js";
import { tampered } from "../example/votes.js";
import type { Pace } from "./pace.js";

export const FIRST_SLOT = 100;
/** The last slot with a scene. */
export const LAST_SLOT = 104;
/** The slot in which the node submits twice. */
export const BUSY_SLOT = 102;

/** What the node submits in a slot. Times are milliseconds from the submission. */
export interface Scene {
  story: string;
  groups: GroupInit[];
  /** No proof starts later. */
  deadlineMs: number;
  /** Proofs are worthless from then on. Default: when the slot after the next one starts. */
  fenceMs?: number;
  /** What votes are worth by when; default: the adapter's own steps. */
  steps?: readonly [];
}

/** The scene of a slot, of votes for that slot; undefined: the slot has none. */
export function sceneOf(
  slot: number,
  { votes, pace }: { votes: CommittedVotes; pace: Pace },
): Scene | undefined {
  const afterMs = (networkMs: number) => Math.round(networkMs * pace.factor);
  const seconds = (ms: number) => `${Number((ms / 1000).toFixed(1))} s`;
  const [a = 0, b = 0, c = 0] = votes.groupsOfSlot(slot);
  const group = (index: number, from: number, to: number): GroupInit => {
    return { data: votes.dataOf(index), rawSignatures: votes.raws(index, from, to) };
  };
  switch (slot) {
    case 100: {
      const rawSignatures = votes
        .raws(a, 0, 16)
        .map((vote, at) => (at === 3 ? { ...vote, signature: tampered(vote.signature) } : vote));
      return {
        story: "16 votes, one with a bad signature: its signer is left out, the rest is proved",
        groups: [{ data: votes.dataOf(a), rawSignatures }],
        deadlineMs: afterMs(3000),
      };
    }
    case 101:
      return {
        story:
          `three attestation data, ${afterMs(750)} ms to start: what ends after that is late and kept, ` +
          "the rest not started",
        groups: [group(a, 0, 8), group(b, 32, 40), group(c, 48, 56)],
        deadlineMs: afterMs(750),
      };
    case BUSY_SLOT:
      return {
        story: "32 votes; the next tick submits again, while they are proved",
        groups: [group(a, 0, 32)],
        deadlineMs: afterMs(3000),
      };
    case 103:
      return {
        story: `two groups, ${seconds(afterMs(3000))} to start: both on time`,
        groups: [group(a, 0, 4), group(b, 32, 36)],
        deadlineMs: afterMs(3000),
      };
    case LAST_SLOT:
      return {
        story:
          "recursion: a child proof of 48 validators folded with 4 votes, one of them covered by it " +
          "already; it has a minute to start and another one to end, on any machine",
        groups: [{ ...group(a, 47, 51), children: [votes.child(3)] }],
        deadlineMs: 60_000,
        fenceMs: 120_000,
        steps: [],
      };
    default:
      return undefined;
  }
}
