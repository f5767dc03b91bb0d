/** Submits one recorded snapshot to a service, and waits for the ends of its groups. */
import { create } from "@bufbuild/protobuf";
import type {
  Node,
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
import { lower } from "../io/outcome-line.js";
import type { GroupEnd, Tally } from "./tally.js";
import { NO_OUTCOME } from "./tally.js";
import type { Turns } from "./turns.js";

const CALL_TIMEOUT_MS = 5000;
/** Time for the last outcome after the fence. */
const GRACE_MS = 2000;
/** Longest wait of a call for a session while other sessions wait for their turn to be asked for. */
const WAIT_MS_MAX = 2000;

export interface ResubmitModules {
  client: Pick<AggregatorClient, "submitSnapshot">;
  /** Asks for the ends on a connection of its own: a service answers so many calls of one at once. */
  follower: Pick<AggregatorClient, "getSession">;
  /** Turns of the follower's calls. */
  turns: Turns;
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
  modules: ResubmitModules,
): Promise<void> {
  const { client, tally, interrupted } = modules;
  const node = create(NodeSchema, { nodeId });
  const budgets = { deadlineMs: Math.round(deadlineMs), fenceMs: Math.round(fenceMs) };
  const options = { timeoutMs: CALL_TIMEOUT_MS, signal: interrupted };
  const { result } = await client
    .submitSnapshot({ ...request, ...budgets, node, requestId }, options)
    .catch((error: unknown) => {
      tally.answered("refused");
      throw error;
    });
  tally.answered(answerText(result));
  if (result.case !== "accepted") return;
  const groups = request.snapshot?.groups.length ?? 0;
  const endAtMs = performance.now() + result.value.fenceMs + GRACE_MS;
  let session: Session | undefined;
  try {
    session = await endOfSession({ node, requestId }, endAtMs, modules);
  } finally {
    for (const end of endsOf(session, groups)) tally.ended(end);
  }
}

/** The session at its end, or as it is at `endAtMs`. */
async function endOfSession(
  of: { node: Node; requestId: string },
  endAtMs: number,
  { follower, turns, interrupted: signal }: ResubmitModules,
): Promise<Session | undefined> {
  for (;;) {
    const { session } = await turns.take(() => {
      const leftMs = Math.max(1, Math.ceil(endAtMs - performance.now()));
      const waitMs = Math.min(WAIT_MS_MAX, leftMs);
      return follower.getSession(
        { ...of, waitMs },
        { timeoutMs: waitMs + CALL_TIMEOUT_MS, signal },
      );
    });
    if (session?.summary !== undefined || performance.now() >= endAtMs) return session;
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
