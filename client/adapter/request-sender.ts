/**
 * Sends frozen requests, as the machine says: each has at most one try under way. Every try has the
 * same request id, so the service returns a lost answer again, and budgets of the time that is left
 * at that try. No method throws or rejects.
 */
import { SkipReason } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Outcome } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { AggregatorError, assertNever, errorAt } from "../errors.js";
import type { AdapterEffect, AdapterSkipReason, EventOf } from "../machine/index.js";
import { TIMER_MS_MAX } from "../rpc/unary-call.js";
import type { Endpoint } from "./endpoints.js";
import type { FlatEncoded } from "./flat-encoder.js";
import { withBudgets, wireMs } from "./request-encoding.js";
import type { StepAt } from "./slot-times.js";

/** How long after its deadline a try waits for its answer, in milliseconds. */
const ANSWER_GRACE_MS = 2000;

/** Timers may fire this much early, in milliseconds. */
const CLOCK_SLACK_MS = 10;

export type Sending = Extract<AdapterEffect<Outcome>, { kind: "send" }>;
/** `mayPass`: refused for what is not in the request, such as the caller's token. Default: not so. */
export type Answer = EventOf<Outcome, "accepted" | "refused" | "failed"> & { mayPass?: boolean };

interface FrozenRequest {
  encoded: FlatEncoded;
  steps: readonly StepAt[];
  traceparent: string | undefined;
  isSent: boolean;
}

export interface RequestSenderModules {
  endpointAt(address: string): Endpoint | undefined;
  nowMs: () => number;
  /** Called with the answer to each try that no later one has ended. Must not throw. */
  onAnswer(answer: Answer): void;
  onError(error: AggregatorError): void;
}

export class RequestSender {
  private readonly frozen = new Map<string, FrozenRequest>();
  /** By request id: ends the try under way. */
  private readonly tries = new Map<string, () => void>();

  constructor(private readonly modules: RequestSenderModules) {}

  /** Keeps the bytes of a request. The steps are instants of the clock `nowMs`. */
  freeze(
    requestId: string,
    encoded: FlatEncoded,
    { steps, traceparent }: { steps: readonly StepAt[]; traceparent?: string | undefined },
  ): void {
    this.frozen.set(requestId, { encoded, steps, traceparent, isSent: false });
  }

  /** Drops the bytes of a request. Its try goes on while the request is not over. */
  forget(requestId: string): void {
    this.frozen.delete(requestId);
  }

  /** Ends the tries of requests that are over: a body on its way would be admitted after `CancelSession`. */
  endOver(isOver: (requestId: string) => boolean): void {
    for (const [requestId, end] of this.tries) if (isOver(requestId)) end();
  }

  /**
   * Sends the request, after the present turn of the event loop: grpc-js copies the bytes once more.
   * Requests that are sent without delay leave in the order of these calls.
   */
  send(sending: Sending): void {
    const { requestId, afterMs } = sending;
    this.tries.get(requestId)?.();
    const abort = new AbortController();
    const start = () => void this.attempt(sending, abort.signal, end); // never rejects
    const timer = afterMs > 0 ? setTimeout(start, afterMs) : undefined;
    const turn = afterMs > 0 ? undefined : setImmediate(start);
    const end = () => {
      clearTimeout(timer);
      clearImmediate(turn);
      abort.abort();
      if (this.tries.get(requestId) === end) this.tries.delete(requestId);
    };
    this.tries.set(requestId, end);
  }

  /** Ends every try; none of them is answered. */
  close(): void {
    for (const end of [...this.tries.values()]) end();
    this.frozen.clear();
  }

  private async attempt(sending: Sending, signal: AbortSignal, end: () => void): Promise<void> {
    const answer = await this.answerTo(sending, signal);
    if (signal.aborted) return;
    end();
    this.modules.onAnswer(answer);
  }

  private async answerTo(sending: Sending, signal: AbortSignal): Promise<Answer> {
    const { requestId, endpoint, deadlineAtMs, fenceAtMs, isLookup } = sending;
    const ref = { requestId, endpoint };
    const sentAtMs = this.modules.nowMs();
    const deadlineMs = isLookup ? 0 : deadlineAtMs - sentAtMs;
    const fenceMs = fenceAtMs - sentAtMs;
    const request = this.frozen.get(requestId);
    const client = this.modules.endpointAt(endpoint)?.client;
    if (request === undefined || client === undefined)
      return { kind: "refused", ...ref, reason: "unreachable" };
    // The node has stalled since it submitted.
    if (!request.isSent && (wireMs(deadlineMs) === 0 || wireMs(fenceMs) === 0))
      return { kind: "refused", ...ref, reason: "predicted_miss" };
    request.isSent = true;
    const steps = request.steps.map(({ untilAtMs, weight }) => ({
      untilMs: untilAtMs - sentAtMs,
      weight,
    }));
    const bytes = withBudgets(request.encoded, { deadlineMs, fenceMs, steps });
    const { traceparent } = request;
    const leftMs = Math.max(0, deadlineAtMs - sentAtMs);
    const timeoutMs = Math.min(TIMER_MS_MAX, leftMs + ANSWER_GRACE_MS);
    try {
      const { result } = await client.submitEncoded(bytes, { timeoutMs, signal, traceparent });
      if (result.case === "skipped")
        return { kind: "refused", ...ref, reason: reasonOf(result.value.reason) };
      if (result.case !== "accepted")
        throw new AggregatorError("internal", "the response is neither accepted nor skipped");
      const { serviceId, fenceMs: answeredMs } = result.value;
      return { kind: "accepted", ...ref, serviceId, fenceAtMs: sentAtMs + answeredMs };
    } catch (thrown) {
      const error = AggregatorError.from(thrown);
      if (!signal.aborted) this.modules.onError(errorAt(ref.endpoint, error));
      const isOver = this.modules.nowMs() - sentAtMs >= timeoutMs - CLOCK_SLACK_MS;
      return answerOfError(ref, error, isOver);
    }
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

/** `isOver`: the call's time limit has passed. */
function answerOfError(
  ref: { requestId: string; endpoint: string },
  { kind }: AggregatorError,
  isOver: boolean,
): Answer {
  switch (kind) {
    case "unavailable":
    case "cancelled":
      return { kind: "failed", ...ref, isTimeout: false };
    case "deadline_exceeded":
      // Of grpc-js, an early one means that the wall clock has jumped: the try may not have arrived.
      return { kind: "failed", ...ref, isTimeout: isOver };
    case "invalid_argument":
      return { kind: "refused", ...ref, reason: "invalid" };
    case "unauthorized":
    case "unsupported":
    case "not_found":
    case "node_id_in_use":
      return { kind: "refused", ...ref, reason: "invalid", mayPass: true };
    case "overloaded":
      return { kind: "refused", ...ref, reason: "overloaded" };
    case "endpoint_is_balanced":
    case "internal":
      return { kind: "refused", ...ref, reason: "unreachable" };
    default:
      return assertNever(kind);
  }
}
