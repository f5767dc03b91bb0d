/** What a recording says of its time: which snapshots came when, and what became of them. */
import type { RecordedSubmission, ReadRecord } from "../../server/recording/read-recording.js";
import { readRecording, RecordingError } from "../../server/recording/read-recording.js";
import type { OutcomeRecord, Recording } from "../../server/recording/records.js";
import { usageError } from "../io/command.js";
import type { GroupEnd } from "./tally.js";
import { NO_OUTCOME, Tally } from "./tally.js";

export interface Recorded {
  then: Tally;
  /** Number of snapshots to submit. */
  snapshots: number;
  /** From the first to the last of them. */
  durationMs: number;
  /** Requests that came too fast to be recorded. */
  lost: number;
}

/** Reads the recording as a whole. Throws a usage error when it is wrong or has nothing to submit. */
export function summarize(folder: string): Recorded {
  const then = new Tally();
  const outcomes = new Map<string, OutcomeRecord>();
  const seen = new Set<string>();
  const accepted: { key: string; groups: number }[] = [];
  let [snapshots, lost, firstAtMs, lastAtMs] = [0, 0, Infinity, 0];
  for (const each of recordsOf(folder)) {
    if (each.kind === "recording") checkReplayable(folder, each);
    if (each.kind === "lost") lost += each.requests;
    if (each.kind === "outcome") outcomes.set(`${keyOf(each)}/${each.group}`, each);
    if (each.kind !== "submission" || isRepeated(each, seen)) continue;
    snapshots++;
    firstAtMs = Math.min(firstAtMs, each.atMs);
    lastAtMs = Math.max(lastAtMs, each.atMs);
    then.answered(each.answer === "accepted" ? "accepted" : `skipped: ${each.reason}`);
    if (each.answer !== "accepted") continue;
    accepted.push({ key: keyOf(each), groups: each.request.snapshot?.groups.length ?? 0 });
  }
  if (snapshots === 0) throw usageError(`${folder} has no snapshot`, "name another recording");
  for (const { key, groups } of accepted) {
    for (let group = 0; group < groups; group++) then.ended(endOf(outcomes.get(`${key}/${group}`)));
  }
  return { then, snapshots, durationMs: Math.max(0, lastAtMs - firstAtMs), lost };
}

/** What the live page was shown, of one or several runs of a service. */
export interface Seen {
  /** Version of the service that was recorded last. */
  service: string;
  runs: number;
  activities: number;
  /** From the first to the last answer. */
  durationMs: number;
}

/** Reads the recording as a whole. Throws a usage error when it is wrong or has nothing to show. */
export function seenIn(folder: string): Seen {
  const runs = new Set<string>();
  let [service, activities, firstAtMs, lastAtMs] = ["", 0, Infinity, 0];
  for (const each of recordsOf(folder)) {
    if (each.kind === "recording") ({ service } = each);
    if (each.kind !== "activity") continue;
    runs.add(each.answer.run);
    activities += each.answer.activities.length;
    firstAtMs = Math.min(firstAtMs, each.atMs);
    lastAtMs = Math.max(lastAtMs, each.atMs);
  }
  if (runs.size === 0) {
    throw usageError(
      `${folder} has nothing to show`,
      "record for longer, or name another recording",
    );
  }
  return { service, runs: runs.size, activities, durationMs: Math.max(0, lastAtMs - firstAtMs) };
}

function checkReplayable(folder: string, { content }: Recording): void {
  if (content === "full") return;
  throw usageError(
    `${folder} was recorded with --record-content ${content}: it has no signatures to submit`,
    "run it in the simulation, as 'lean-aggregator replay --help' says",
  );
}

/** The service was killed, or its oldest file went, before a group ended. */
function endOf(outcome: OutcomeRecord | undefined): GroupEnd {
  if (outcome === undefined) return { outcome: NO_OUTCOME, votes: 0, proved: [] };
  const { status, reason, votes, proved } = outcome;
  return { outcome: reason === "" ? status : `${status}: ${reason}`, votes, proved };
}

const keyOf = ({ node, requestId }: { node: string; requestId: string }) => `${node}/${requestId}`;

/** The snapshots to submit, in order; a repeated one once. */
export function* submissionsOf(folder: string): Generator<RecordedSubmission, void, undefined> {
  const seen = new Set<string>();
  for (const each of recordsOf(folder)) {
    if (each.kind !== "submission" || isRepeated(each, seen)) continue;
    yield each;
  }
}

/** A later try of a request that was accepted before. */
function isRepeated({ answer, node, requestId }: RecordedSubmission, seen: Set<string>): boolean {
  if (answer !== "accepted") return false;
  const key = keyOf({ node, requestId });
  const isKnown = seen.has(key);
  seen.add(key);
  return isKnown;
}

function* recordsOf(folder: string): Generator<ReadRecord, void, undefined> {
  try {
    yield* readRecording(folder);
  } catch (cause) {
    if (!(cause instanceof RecordingError)) throw cause;
    throw usageError(cause.message, "name a folder of 'serve --record'", cause);
  }
}
