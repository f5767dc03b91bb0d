/** A result stream that outlives its connection: it resumes by cursor, with short backoff. */
import { setTimeout as delay } from "node:timers/promises";
import type { StreamResultsResponse } from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { AggregatorClient } from "../client/rpc/aggregator-client.js";
import { AggregatorError } from "../client/errors.js";

const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 2000;

/** Answers that no retry changes. */
const FINAL: ReadonlySet<string> = new Set(["invalid_argument", "unauthorized", "unsupported"]);

/** What was received, or that the stream broke and is about to be resumed. */
export type Resumed =
  | { event: StreamResultsResponse["event"]; response: StreamResultsResponse }
  | { event: { case: "broken"; value: AggregatorError }; response?: undefined };

/**
 * Everything from the request's cursor on, until the signal aborts; then it ends without an error.
 * Throws `AggregatorError` when the server refuses the stream for good.
 */
export async function* resumeResults(
  client: Pick<AggregatorClient, "streamResults">,
  request: { node: { nodeId: string }; sessionId?: string },
  signal: AbortSignal,
): AsyncGenerator<Resumed, void, undefined> {
  let cursor = "";
  let failures = 0;
  while (!signal.aborted) {
    let broken = new AggregatorError("unavailable", "the server has ended the stream");
    try {
      for await (const response of client.streamResults({ ...request, cursor }, signal)) {
        failures = 0;
        yield { event: response.event, response };
        if (response.cursor !== "") ({ cursor } = response);
      }
    } catch (error) {
      if (signal.aborted) return;
      broken = AggregatorError.from(error);
      // Another version of the service may write cursors otherwise: then all that it retains.
      if (broken.kind === "invalid_argument" && cursor !== "") cursor = "";
      else if (FINAL.has(broken.kind)) throw broken;
    }
    yield { event: { case: "broken", value: broken } };
    const backoffMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(failures++, 8));
    await delay(backoffMs, undefined, { signal }).catch(() => undefined);
  }
}
