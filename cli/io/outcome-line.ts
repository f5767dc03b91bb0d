/** Formats outcomes for people: as a table, or one line for each as it arrives. */
import type {
  LeftOut,
  Outcome,
  Summary,
  Votes,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  LeftOutReason,
  OutcomeReason,
  OutcomeStatus,
  VerifiedBy,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { fatesInNoProof, isEveryVoteProved, votesIn, votesProved } from "../../proto/votes.js";
import { mergeForm } from "../../proto/merge-form.js";
import type { Column } from "./table.js";
import { formatHeader, formatRow, formatTable } from "./table.js";

const LEFT_OUT_SHOWN_MAX = 4;

export function isProved({ status }: Outcome): boolean {
  return status === OutcomeStatus.PROVED || status === OutcomeStatus.PROVED_LATE;
}

const columns: readonly Column<Outcome>[] = [
  { title: "group", align: "right", cell: groupText },
  { title: "slot", align: "right", width: 8, cell: ({ slot }) => String(slot) },
  { title: "status", width: 16, cell: statusText },
  {
    title: "reason",
    width: 14,
    cell: ({ reason }) => (reason ? lower(OutcomeReason[reason]) : "-"),
  },
  { title: "votes", align: "right", width: 10, cell: ({ votes }) => votesText(votes) },
  { title: "in no proof", width: 14, cell: ({ votes }) => inNoProofText(votes) || "-" },
  {
    title: "proof KiB",
    align: "right",
    cell: ofProof((each) => (isErased(each) ? "erased" : Math.round(each.proof.length / 1024))),
  },
  { title: "queue ms", align: "right", cell: ({ queueMs }) => String(queueMs) },
  { title: "prove ms", align: "right", cell: ofProof(({ proveMs }) => proveMs) },
  { title: "left out", cell: leftOutText },
];

/** All outcomes of a session, ordered by group. */
export function outcomeTable(outcomes: readonly Outcome[]): string {
  return formatTable(
    columns,
    outcomes.toSorted((a, b) => a.groupIndex - b.groupIndex),
  );
}

/** The header for `outcomeLine`. */
export const outcomeHeader = () => formatHeader(columns);

/** One outcome, in columns of fixed width. */
export const outcomeLine = (outcome: Outcome) => formatRow(columns, outcome);

export function summaryLine(summary: Summary): string {
  const { slot, groups, proved, provedLate, votes, durationMs } = summary;
  const late = provedLate === 0 ? "" : ` (${provedLate} late)`;
  const inProofs = `${proved + provedLate} of ${groups} groups proved${late}`;
  const others = inNoProofText(votes);
  const fates = others === "" ? "" : ` (${others})`;
  const ofVotes = votes === undefined ? "" : `${votesText(votes)} votes proved${fates}, `;
  return `slot ${slot}: ${ofVotes}${inProofs}, in ${durationMs} ms`;
}

/**
 * True when every vote of the session is in a proof, or covered by a child already. Of a service that does
 * not count votes: when every group is proved.
 */
export function isComplete({ votes, groups, proved, provedLate }: Summary): boolean {
  return votes === undefined ? proved + provedLate === groups : isEveryVoteProved(votes);
}

/** Number of votes in a proof, of all votes that were submitted. */
function votesText(votes: Votes | undefined): string {
  return votes === undefined ? "-" : `${votesProved(votes)} of ${votesIn(votes)}`;
}

/** For example `29 shed, 2 bad_signature`; empty when every vote is in the proof. */
function inNoProofText(votes: Votes | undefined): string {
  if (votes === undefined) return "";
  return fatesInNoProof
    .filter(([, field]) => votes[field] > 0)
    .map(([fate, field]) => `${votes[field]} ${fate}`)
    .join(", ");
}

/**
 * An enum value's name in lower case, as in the documents; `unknown` if this version has no name.
 */
export function lower(name: string | undefined): string {
  return name?.toLowerCase() ?? "unknown";
}

/** True for a proof whose bytes the service has erased at its fence. */
const isErased = ({ proofErased, proof }: Outcome) => proofErased || proof.length === 0;

/** Of a merge also its form. */
function groupText({ groupIndex, claims }: Outcome): string {
  const form = mergeForm(claims);
  return form === undefined ? String(groupIndex) : `${groupIndex} ${form}`;
}

function statusText({ status, fake }: Outcome): string {
  return `${lower(OutcomeStatus[status])}${fake ? " FAKE" : ""}`;
}

function ofProof(value: (outcome: Outcome) => number | string): (outcome: Outcome) => string {
  return (outcome) => (isProved(outcome) ? String(value(outcome)) : "-");
}

function leftOutText({ leftOut, detail, verifiedBy }: Outcome): string {
  const shown = leftOut.slice(0, LEFT_OUT_SHOWN_MAX).map(inputText);
  const more = leftOut.length - shown.length;
  const inputs = [...shown, ...(more > 0 ? [`${more} more`] : [])].join(", ");
  const judged = verifiedBy === VerifiedBy.SAME_HOST ? "verified by the host that made it" : "";
  return [inputs, detail, judged].filter((text) => text !== "").join(": ") || "-";
}

const inputNames = {
  validatorIndex: "validator",
  childIndex: "child",
  componentIndex: "component",
} as const;

function inputText({ reason, input }: LeftOut): string {
  const kind = input.case === undefined ? "input" : inputNames[input.case];
  return `${kind} ${input.value ?? "?"} ${lower(LeftOutReason[reason])}`;
}
