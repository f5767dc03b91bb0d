/** What must hold of all that was read once every session has ended. */
import { OutcomeStatus } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { foldFaults } from "./work/fold-faults.js";
import { mergeFaults } from "./work/merge-faults.js";
import type { Submission } from "../../server/work/submission.js";
import type { ReadOutcome, ResultReader } from "./result-reader.js";
import { validatorsOf } from "./work/sim-group.js";

/** `readers`: of each node one that follows its events, then one that resumes. */
export function checkOutcomes(
  readers: readonly ResultReader[],
  accepted: ReadonlyMap<string, Submission>,
): string[] {
  const [whole, resumed] = [false, true].map((isResumed) =>
    readers.filter((reader) => reader.isResumed === isResumed),
  );
  const outcomes = (whole ?? []).flatMap((reader) => reader.outcomes);
  const ended = new Map<string, number[]>();
  for (const { requestId, groupIndex } of outcomes)
    ended.set(requestId, [...(ended.get(requestId) ?? []), groupIndex]);
  return [
    ...(whole ?? []).flatMap(({ seen }, at) =>
      sorted(seen) === sorted(resumed?.[at]?.seen ?? [])
        ? []
        : ["a resumed stream differs from an uninterrupted one"],
    ),
    ...outcomes.flatMap((outcome) => checkOutcome(outcome, accepted.get(outcome.requestId))),
    ...[...accepted].flatMap(([requestId, { groups }]) => {
      const got = (ended.get(requestId) ?? []).sort((a, b) => a - b);
      const want = [...groups.keys()];
      if (JSON.stringify(got) === JSON.stringify(want)) return [];
      return [`request ${requestId}: groups ended ${got.join()}, not ${want.join()}`];
    }),
  ];
}

const sorted = (lines: readonly string[]) => JSON.stringify([...lines].sort());

function checkOutcome(
  { requestId, groupIndex, participants, isCut, outcome }: ReadOutcome,
  submission: Submission | undefined,
): string[] {
  const group = submission?.groups[groupIndex];
  if (submission === undefined || group === undefined)
    return [`${requestId}/${groupIndex} ended, and nobody submitted it`];
  const { work } = group;
  if (work.kind === "merge") {
    const faults = mergeFaults({ ...group, work }, outcome);
    return faults.map((fault) => `${requestId}/${groupIndex}: ${fault}`);
  }
  const isProved = [OutcomeStatus.PROVED, OutcomeStatus.PROVED_LATE].includes(outcome.status);
  const own = validatorsOf(group);
  const isOwn = participants.every((validator) => own.has(validator));
  return [
    ...(isOwn ? [] : [`${requestId}/${groupIndex} names another node's validators`]),
    ...(isProved ? foldFaults(work, outcome) : []).map(
      (fault) => `${requestId}/${groupIndex}: ${fault}`,
    ),
    ...(isCut && !submission.mayShed ? [`${requestId}/${groupIndex} was cut, forbidden`] : []),
  ];
}
