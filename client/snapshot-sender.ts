/**
 * Sends one snapshot until it is answered: the same request id on every try, so that a lost answer
 * costs nothing, and the budgets as they are left by then. Called by `TickAggregator`, off the tick.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  Accepted,
  SubmitSnapshotRequestSchema,
} from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { SkipReason } from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { AdapterSkipReason } from "./adapter-events.js";
import { AggregatorError } from "./errors.js";
import type { Endpoint } from "./endpoints.js";

const RETRY_MS = 100;

/** A first answer to a snapshot sent just before its deadline still has this long. */
const ANSWER_GRACE_MS = 250;

export type SnapshotAnswer =
  | { kind: "accepted"; endpoint: Endpoint; accepted: Accepted }
  | { kind: "skipped"; reason: AdapterSkipReason; error: AggregatorError | null };

export interface SnapshotSending {
  request: MessageInitShape<typeof SubmitSnapshotRequestSchema> & object;
  /** Instants of `nowMs`. */
  deadlineAtMs: number;
  fenceAtMs: number;
  nowMs: () => number;
  /** Asked anew for each try. */
  endpoint: () => Endpoint;
  signal: AbortSignal;
}

/** Never rejects. */
export async function sendSnapshot(sending: SnapshotSending): Promise<SnapshotAnswer> {
  const { request, nowMs, deadlineAtMs, fenceAtMs, signal } = sending;
  for (;;) {
    const now = nowMs();
    const timeoutMs = deadlineAtMs - now + ANSWER_GRACE_MS;
    const endpoint = sending.endpoint();
    const budgets = { deadlineMs: wireMs(deadlineAtMs - now), fenceMs: wireMs(fenceAtMs - now) };
    let error: AggregatorError;
    try {
      const response = await endpoint.client.submitSnapshot(
        { ...request, ...budgets },
        { timeoutMs },
      );
      if (response.result.case === "accepted")
        return { kind: "accepted", endpoint, accepted: response.result.value };
      if (response.result.case === "skipped")
        return { kind: "skipped", reason: reasonOf(response.result.value.reason), error: null };
      error = new AggregatorError("internal", "neither accepted nor skipped");
    } catch (thrown) {
      error = AggregatorError.from(thrown);
    }
    const isLast = nowMs() + RETRY_MS >= deadlineAtMs || signal.aborted;
    if (error.kind !== "unavailable" || isLast)
      return { kind: "skipped", reason: reasonOfError(error), error };
    await delay(RETRY_MS, undefined, { signal, ref: false }).catch(() => undefined);
  }
}

/** A uint32 on the wire. */
function wireMs(ms: number): number {
  return Math.min(0xffffffff, Math.max(0, Math.floor(ms)));
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
    // A reason newer than this client: not now, as with `overloaded`.
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
  }
}
