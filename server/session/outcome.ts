/** Turns an ended group into the `Outcome` message that nodes get, and into labels of metrics. */
import { create } from "@bufbuild/protobuf";
import type { Outcome, Votes } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  LeftOutReason,
  LeftOutSchema,
  OutcomeReason,
  OutcomeSchema,
  OutcomeStatus,
  ProofSystemSchema,
  SummarySchema,
  VerifiedBy,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { assertNever } from "../errors.js";
import type { VoteLabels } from "../metrics/vote-labels.js";
import { voteLabels } from "../metrics/vote-labels.js";
import type { GroupReason, OutcomeStatusName } from "../reasons.js";
import type { ProverDescription } from "../work/prover-description.js";
import type { DecodedGroup, LeftOut, ProofResult } from "../work/group.js";
import { encodeBitlist } from "../../proto/bitlist.js";
import type { Step } from "../work/submission.js";
import type { Ending } from "./session-state.js";
import { leftOutOf, stepAt, toVotes, votesByFate } from "./votes.js";

export interface EndedGroup {
  requestId: string;
  slot: bigint;
  groupIndex: number;
  decoded: DecodedGroup;
  ending: Ending;
  /** The provers of the session's proof system. */
  description: ProverDescription;
  /** From receipt of the snapshot to the group's first attempt, or to its end without one. */
  queueMs: number;
  /** Number of attempts that were started at the group. */
  attempts: number;
  /** The steps of the request, and when the group ended. */
  steps: readonly Step[];
  endedAtMs: number;
}

const statusOnWire: Record<OutcomeStatusName, OutcomeStatus> = {
  proved: OutcomeStatus.PROVED,
  proved_late: OutcomeStatus.PROVED_LATE,
  nothing_to_prove: OutcomeStatus.NOTHING_TO_PROVE,
  rejected: OutcomeStatus.REJECTED,
  not_started: OutcomeStatus.NOT_STARTED,
  stopped: OutcomeStatus.STOPPED,
  failed: OutcomeStatus.FAILED,
};

const leftOutOnWire: Record<LeftOut["reason"], LeftOutReason> = {
  bad_signature: LeftOutReason.BAD_SIGNATURE,
  wrong_leaf: LeftOutReason.WRONG_LEAF,
  unknown_key: LeftOutReason.UNKNOWN_KEY,
  bad_child: LeftOutReason.BAD_CHILD,
  other_system: LeftOutReason.OTHER_SYSTEM,
  covered: LeftOutReason.COVERED,
  shed: LeftOutReason.SHED,
};

const reasonOnWire = {
  deadline: OutcomeReason.DEADLINE,
  predicted_miss: OutcomeReason.PREDICTED_MISS,
  superseded: OutcomeReason.SUPERSEDED,
  cancelled: OutcomeReason.CANCELLED,
  draining: OutcomeReason.DRAINING,
  limit: OutcomeReason.LIMIT,
  set_aside: OutcomeReason.SET_ASIDE,
  memory: OutcomeReason.MEMORY,
  fence: OutcomeReason.FENCE,
  preempted: OutcomeReason.PREEMPTED,
  prover_died: OutcomeReason.PROVER_DIED,
  prover_error: OutcomeReason.PROVER_ERROR,
} as const;

const verifiedByOnWire = {
  other_host: VerifiedBy.OTHER_HOST,
  standby: VerifiedBy.STANDBY,
  prover: VerifiedBy.SAME_PROVER,
  same_host: VerifiedBy.SAME_HOST,
} as const;

/** The outcome message of an ended group, and what metrics count of it. */
export interface CountedOutcome {
  outcome: Outcome;
  status: OutcomeStatusName;
  /** Number of the group's votes by what became of them; together all votes of the group. */
  counted: readonly { labels: VoteLabels; count: number }[];
  votes: Votes;
}

export function toOutcome(ended: EndedGroup): CountedOutcome {
  const { ending, decoded, description } = ended;
  const status = statusOf(ending);
  const reason = reasonOf(ending);
  const result = ending.kind === "result" ? ending.result : undefined;
  const leftOut = leftOutOf(ending, decoded);
  const fates = votesByFate(decoded, ending);
  const votes = toVotes(fates, ended.steps, ended.endedAtMs);
  const proofSystem = create(ProofSystemSchema, {
    scheme: description.scheme,
    revision: description.revision,
    logInvRate: decoded.work.logInvRate,
  });
  const outcome = create(OutcomeSchema, {
    requestId: ended.requestId,
    groupIndex: ended.groupIndex,
    slot: ended.slot,
    ...(decoded.data === undefined ? {} : { data: decoded.data }),
    ...(decoded.work.kind === "fold" ? { message: decoded.work.message.root } : {}),
    status: statusOnWire[status],
    ...(reason === undefined ? {} : { reason: reasonOnWire[reason] }),
    detail: detailOf(ending),
    leftOut: leftOut.map(leftOutMessage),
    proofSystem,
    queueMs: Math.round(ended.queueMs),
    attempt: ended.attempts,
    fake: description.fake,
    votes,
  });
  outcome.claims = [...decoded.claims];
  if (result?.kind === "proved") addProof(outcome, result, decoded);
  const ready = { step: stepAt(ended.steps, ended.endedAtMs), steps: ended.steps.length };
  const counted = [...fates].map(([fate, count]) => ({
    labels: voteLabels(fate, groupReasonOf(ending), ready),
    count,
  }));
  return { outcome, status, counted, votes };
}

export function toSummary(
  ended: { requestId: string; slot: bigint; groups: readonly unknown[]; votes: Votes },
  counts: Record<string, number>,
  durationMs: number,
) {
  const { requestId, slot, groups, votes } = ended;
  const { proved = 0, proved_late: provedLate = 0 } = counts;
  const summary = { requestId, slot, groups: groups.length, proved, provedLate, votes };
  return create(SummarySchema, { ...summary, durationMs: Math.round(durationMs) });
}

function addProof(
  outcome: Outcome,
  result: Extract<ProofResult, { kind: "proved" }>,
  { work, sszLength }: DecodedGroup,
): void {
  outcome.proof = result.proof;
  if (work.kind === "fold") outcome.participants = encodeBitlist(result.validators, sszLength);
  outcome.childrenFolded = [...result.childrenFolded];
  outcome.proveMs = Math.round(result.proveMs);
  if (result.verifiedBy !== undefined) outcome.verifiedBy = verifiedByOnWire[result.verifiedBy];
}

function leftOutMessage({ reason, input, digest }: LeftOut) {
  return create(LeftOutSchema, {
    reason: leftOutOnWire[reason],
    digest,
    input: inputMessage(input),
  });
}

function inputMessage(input: LeftOut["input"]) {
  switch (input.kind) {
    case "raw":
      return { case: "validatorIndex", value: input.validatorIndex } as const;
    case "child":
      return { case: "childIndex", value: input.childIndex } as const;
    case "component":
      return { case: "componentIndex", value: input.componentIndex } as const;
    default:
      return assertNever(input);
  }
}

function statusOf(ending: Ending): OutcomeStatusName {
  switch (ending.kind) {
    case "not_started":
    case "stopped":
      return ending.kind;
    case "result":
      if (ending.result.kind === "too_few_inputs") return "nothing_to_prove";
      if (ending.result.kind !== "proved") return ending.result.kind;
      return ending.isLate ? "proved_late" : "proved";
    default:
      return assertNever(ending);
  }
}

function detailOf(ending: Ending): string {
  if (ending.kind === "not_started" && ending.reason === "set_aside") {
    return "this input ended two provers; it is set aside until the fence of that session";
  }
  if (ending.kind !== "result") return "";
  const { result } = ending;
  if (result.kind === "too_few_inputs") {
    return `the group has ${result.inputs} inputs, fewer than min_inputs`;
  }
  if (result.kind === "not_started" && result.reason === "memory") {
    return "every part in time takes more memory than a prover may hold: raise --prover-memory-mb, or add memory";
  }
  if (result.kind !== "failed") return "";
  const { detail, deaths } = result;
  return deaths > 1 ? `${detail} (${deaths} provers ended over this input)` : detail;
}

/** As on the wire, where a group with too few inputs has no reason. */
function groupReasonOf(ending: Ending): GroupReason | undefined {
  const isTooSmall = ending.kind === "result" && ending.result.kind === "too_few_inputs";
  return isTooSmall ? "min_inputs" : reasonOf(ending);
}

function reasonOf(ending: Ending): keyof typeof reasonOnWire | undefined {
  if (ending.kind !== "result") return ending.reason;
  const { result } = ending;
  return result.kind === "failed" || result.kind === "not_started" ? result.reason : undefined;
}
