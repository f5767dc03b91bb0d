/** Submits one recorded snapshot to a service, and waits for the ends of its groups. */
import { create } from "@bufbuild/protobuf";
import type {
  Outcome,
  Session,
  SubmitSnapshotResponse,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  NodeSchema,
  OutcomeReason,
  OutcomeStatus,
  SkipReason,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { AggregatorClient } from "../../client/rpc/aggregator-client.js";
import type { RecordedSubmission } from "../../server/recording/read-recording.js";
import { limits } from "../../server/limits.js";
import { lower } from "../io/outcome-line.js";
import type { GroupEnd, Tally } from "./tally.js";
import { NO_OUTCOME } from "./tally.js";

const CALL_TIMEOUT_MS = 5000;
/** Time for the last outcome after the fence. */
const GRACE_MS = 2000;

export interface ResubmitModules {
  client: Pick<AggregatorClient, "submitSnapshot" | "getSession">;
  tally: Tally;
  interrupted: AbortSignal;
}

/**
 * Under the recorded node, with the budgets that were in force, and a request id of its own: the
 * recorded one may be known to the service. Rejects with `AggregatorError` when the service refuses
 * it or cannot be reached, and at once when `interrupted` aborts.
 */
export async function resubmit(
  { node: nodeId, request, deadlineMs, fenceMs }: RecordedSubmission,
  requestId: string,
  { client, tally, interrupted }: ResubmitModules,
): Promise<void> {
  const node = create(NodeSchema, { nodeId });
  const budgets = { deadlineMs: Math.round(deadlineMs), fenceMs: Math.round(fenceMs) };
  const { result } = await client.submitSnapshot(
    { ...request, ...budgets, node, requestId },
    { timeoutMs: CALL_TIMEOUT_MS, signal: interrupted },
  );
  tally.answered(answerText(result));
  if (result.case !== "accepted") return;
  const groups = request.snapshot?.groups.length ?? 0;
  const endAtMs = performance.now() + result.value.fenceMs + GRACE_MS;
  for (;;) {
    const waitMs = Math.min(limits.waitMsMax, Math.max(1, Math.ceil(endAtMs - performance.now())));
    const timeoutMs = waitMs + CALL_TIMEOUT_MS;
    const request = { node, requestId, waitMs };
    const { session } = await client.getSession(request, { timeoutMs, signal: interrupted });
    const isOver = session?.summary !== undefined || performance.now() >= endAtMs;
    if (!isOver) continue;
    for (const end of endsOf(session, groups)) tally.ended(end);
    return;
  }
}

function answerText(result: SubmitSnapshotResponse["result"]): string {
  if (result.case === "accepted") return "accepted";
  return `skipped: ${result.case === "skipped" ? lower(SkipReason[result.value.reason]) : "?"}`;
}

function endsOf(session: Session | undefined, groups: number): GroupEnd[] {
  const outcomes = new Map(session?.outcomes.map((each) => [each.groupIndex, each]));
  return Array.from({ length: groups }, (_, group) => endOf(outcomes.get(group)));
}

function endOf(outcome: Outcome | undefined): GroupEnd {
  if (outcome === undefined) return { outcome: NO_OUTCOME, votes: 0, proved: [] };
  const status = lower(OutcomeStatus[outcome.status]);
  const reason =
    outcome.reason === OutcomeReason.UNSPECIFIED ? "" : lower(OutcomeReason[outcome.reason]);
  const { proved = [], ...others } = outcome.votes ?? {};
  const left = Object.values(others).reduce<number>(
    (sum, each) => sum + (typeof each === "number" ? each : 0),
    0,
  );
  const votes = left + proved.reduce((sum, count) => sum + count, 0);
  return { outcome: reason === "" ? status : `${status}: ${reason}`, votes, proved };
}
