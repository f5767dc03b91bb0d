/** Reads the message `Votes`, which counts the votes of a group or request by fate. */
import type { Votes } from "./gen/lean/aggregator/v1/aggregator_pb.js";

/** The fates of votes in no proof, each with its field. */
export const fatesInNoProof = [
  ["shed", "shed"],
  ["bad_signature", "badSignature"],
  ["wrong_leaf", "wrongLeaf"],
  ["unknown_key", "unknownKey"],
  ["bad_child", "badChild"],
  ["other_system", "otherSystem"],
  ["covered", "covered"],
  ["not_started", "notStarted"],
  ["stopped", "stopped"],
  ["failed", "failed"],
] as const satisfies [string, keyof Votes][];

/** Number of votes in a proof, in whichever step it was ready. */
export function votesProved({ proved }: Pick<Votes, "proved">): number {
  return proved.reduce((sum, count) => sum + count, 0);
}

/** Number of all votes. */
export function votesIn(votes: Votes): number {
  return fatesInNoProof.reduce((sum, [, field]) => sum + votes[field], votesProved(votes));
}

/** True when every vote is in the proof or in a good child, which is a proof already. */
export function isEveryVoteProved(votes: Votes): boolean {
  return votesProved(votes) + votes.covered === votesIn(votes);
}
