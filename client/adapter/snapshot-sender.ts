/**
 * Sends one encoded snapshot until the service answers. Every try has the same request id, so the
 * service returns a lost answer again, and budgets of the time that is left at that try.
 * `TickAggregator` calls it after the tick.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { FlatEncoded } from "./flat-encoder.js";
import type { Accepted } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { SkipReason } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { AdapterSkipReason } from "./events.js";
import { AggregatorError, assertNever } from "../errors.js";
import type { Endpoint } from "./endpoints.js";
import { withBudgets } from "./request-encoding.js";

const RETRY_MS = 100;

/** How long after the deadline a try waits for its answer, in milliseconds. */
const ANSWER_GRACE_MS = 250;

/**
 * `skipped` with an endpoint: its service skipped the snapshot. With an error: the call failed, or
 * no endpoint can be reached. With both null: nothing was sent, as the deadline had passed.
 */
export type SnapshotAnswer =
  | { kind: "accepted"; endpoint: Endpoint; accepted: Accepted }
  | { kind: "skipped"; endpoint: Endpoint; reason: AdapterSkipReason; error: null }
  | { kind: "skipped"; endpoint: null; reason: AdapterSkipReason; error: AggregatorError | null };

export interface SnapshotSending {
  request: FlatEncoded;
  /** An instant on the clock of `nowMs`, as `fenceAtMs` is. */
  deadlineAtMs: number;
  fenceAtMs: number;
  nowMs: () => number;
  /** Returns the endpoint for the next try; null if none can be reached. Called for each try. */
  target: () => Endpoint | null;
  signal: AbortSignal;
}

/**
 * Resolves with the service's answer, or with the error after which no try follows. Never rejects.
 */
export async function sendSnapshot(sending: SnapshotSending): Promise<SnapshotAnswer> {
  const { nowMs, deadlineAtMs, signal } = sending;
  // A node that stalled submits for slots whose time is already over.
  if (deadlineAtMs - nowMs() < 1)
    return { kind: "skipped", endpoint: null, reason: "predicted_miss", error: null };
  let hasAskedAgain = false;
  for (;;) {
    const answer = await tryOnce(sending);
    if (answer.kind === "accepted" || answer.error === null) return answer;
    if (answer.error.kind === "deadline_exceeded" && !hasAskedAgain) {
      // This node's event loop may have stalled with the answer unread. A try with the same request
      // id gets that answer again.
      hasAskedAgain = true;
      continue;
    }
    const isOver = nowMs() + RETRY_MS >= deadlineAtMs;
    if (answer.error.kind !== "unavailable" || isOver) return answer;
    await delay(RETRY_MS, undefined, { signal, ref: false }).catch(() => undefined);
  }
}

async function tryOnce(sending: SnapshotSending): Promise<SnapshotAnswer> {
  const { request, nowMs, deadlineAtMs, fenceAtMs, signal } = sending;
  try {
    const endpoint = sending.target();
    if (endpoint === null) throw new AggregatorError("unavailable", "no endpoint can be reached");
    const deadlineMs = deadlineAtMs - nowMs();
    const bytes = withBudgets(request, { deadlineMs, fenceMs: fenceAtMs - nowMs() });
    const timeoutMs = Math.max(0, deadlineMs) + ANSWER_GRACE_MS;
    const { result } = await endpoint.client.submitEncoded(bytes, { timeoutMs, signal });
    if (result.case === "accepted") return { kind: "accepted", endpoint, accepted: result.value };
    if (result.case === "skipped")
      return { kind: "skipped", endpoint, reason: reasonOf(result.value.reason), error: null };
    throw new AggregatorError("internal", "the response is neither accepted nor skipped");
  } catch (thrown) {
    const error = AggregatorError.from(thrown);
    return { kind: "skipped", endpoint: null, reason: reasonOfError(error), error };
  }
}

function reasonOf(reason: SkipReason): AdapterSkipReason {
  switch (reason) {
    case SkipReason.IN_FLIGHT:
      return "in_flight";
    case SkipReason.PREDICTED_MISS:
      return "predicted_miss";
    case SkipReason.DRAINING:
      return "draining";
    case SkipReason.NO_PROVER:
      return "no_prover";
    // A reason that this client does not know means "not now", like `overloaded`.
    default:
      return "overloaded";
  }
}

function reasonOfError({ kind }: AggregatorError): AdapterSkipReason {
  switch (kind) {
    case "invalid_argument":
    case "unauthorized":
    case "unsupported":
    case "not_found":
      return "invalid";
    case "overloaded":
      return "overloaded";
    case "unavailable":
    case "deadline_exceeded":
    case "cancelled":
    case "internal":
      return "unreachable";
    default:
      return assertNever(kind);
  }
}
