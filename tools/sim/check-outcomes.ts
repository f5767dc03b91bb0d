/** What must hold of all that was read once every session has ended. */
import type { Submission } from "../../server/work/submission.js";
import type { LogReader, ReadOutcome } from "./log-reader.js";
import { validatorsOf } from "./sim-group.js";

/** `readers`: of each log one that reads it whole, then one that resumes. */
export function checkOutcomes(
  readers: readonly LogReader[],
  accepted: ReadonlyMap<string, Submission>,
): string[] {
  const [whole, resumed] = [false, true].map((isResumed) =>
    readers.filter((reader) => reader.isResumed === isResumed),
  );
  const outcomes = (whole ?? []).flatMap((reader) => reader.outcomes);
  const ended = new Map<string, number[]>();
  for (const { sessionId, groupIndex } of outcomes)
    ended.set(sessionId, [...(ended.get(sessionId) ?? []), groupIndex]);
  return [
    ...(whole ?? []).flatMap(({ seen }, at) =>
      JSON.stringify(seen) === JSON.stringify(resumed?.[at]?.seen)
        ? []
        : ["a resumed stream differs from an uninterrupted one"],
    ),
    ...outcomes.flatMap((outcome) => checkOutcome(outcome, accepted.get(outcome.sessionId))),
    ...[...accepted].flatMap(([sessionId, { groups, requestId }]) => {
      const got = (ended.get(sessionId) ?? []).sort((a, b) => a - b);
      const want = [...groups.keys()];
      if (JSON.stringify(got) === JSON.stringify(want)) return [];
      return [`session ${requestId}: groups ended ${got.join()}, not ${want.join()}`];
    }),
  ];
}

function checkOutcome(
  { sessionId, groupIndex, participants, isCut }: ReadOutcome,
  submission: Submission | undefined,
): string[] {
  const group = submission?.groups[groupIndex];
  if (submission === undefined || group === undefined)
    return [`${sessionId}/${groupIndex} ended, and nobody submitted it`];
  const own = validatorsOf(group);
  const isOwn = participants.every((validator) => own.has(validator));
  return [
    ...(isOwn ? [] : [`${sessionId}/${groupIndex} names another node's validators`]),
    ...(isCut && !submission.mayShed ? [`${sessionId}/${groupIndex} was cut, forbidden`] : []),
  ];
}
