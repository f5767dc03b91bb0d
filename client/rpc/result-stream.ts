/**
 * A result stream that outlives its connection. After a break it resumes by the cursor, the mark of
 * the last event read, and waits 100 ms to 2 s between attempts. The adapter and the commands of
 * the command line read results through it.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  StreamResultsRequestSchema,
  StreamResultsResponse,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { AggregatorError, isFinal as isFinalKind } from "../errors.js";
import type { AggregatorClient } from "./aggregator-client.js";

const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 2000;

/** The server sends `opened` at once. A stream that is silent for this many ms counts as broken. */
const OPEN_TIMEOUT_MS = 2000;

export type StreamEvent =
  /** The cursor moves to this response once the reader asks for the next event. */
  | { kind: "response"; response: StreamResultsResponse }
  /**
   * The stream broke, or an attempt to open it failed. The next attempt follows. `isFinal`: that
   * attempt will fail too, as the server refuses the request itself.
   */
  | { kind: "broken"; error: AggregatorError; isFinal: boolean };

export type StreamRequest = Pick<
  Exclude<MessageInitShape<typeof StreamResultsRequestSchema>, { $typeName: string }>,
  "node" | "sessionId"
>;

/**
 * Streams what the server retains for the request and then what is new, until `signal` aborts.
 * Never throws.
 */
export async function* resumeResults(
  client: Pick<AggregatorClient, "streamResults">,
  request: StreamRequest,
  signal: AbortSignal,
): AsyncGenerator<StreamEvent, void, undefined> {
  let cursor = "";
  let failures = 0;
  while (!signal.aborted) {
    let error = new AggregatorError("unavailable", "the server has ended the stream");
    let isFinal = false;
    try {
      for await (const response of openInTime(client, streamRequest(request, cursor), signal)) {
        failures = 0;
        // The reader has stopped: drop what was received in advance.
        if (signal.aborted) return;
        yield { kind: "response", response };
        if (response.cursor !== "") ({ cursor } = response);
      }
    } catch (cause) {
      error = AggregatorError.from(cause);
      // Another version of the service may write cursors in another way, and refuse this one.
      // Without a cursor, the server sends all that it retains.
      if (error.kind === "invalid_argument" && cursor !== "") cursor = "";
      else isFinal = isFinalKind(error.kind);
    }
    if (signal.aborted) return;
    yield { kind: "broken", error, isFinal };
    const backoffMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(failures++, 8));
    await delay(backoffMs, undefined, { signal }).catch(() => undefined);
  }
}

/** One stream. Throws kind `deadline_exceeded` when it sends nothing for `OPEN_TIMEOUT_MS`. */
async function* openInTime(
  client: Pick<AggregatorClient, "streamResults">,
  request: StreamRequest & { cursor: string; retained: boolean },
  signal: AbortSignal,
): AsyncGenerator<StreamResultsResponse, void, undefined> {
  const tooLate = new AbortController();
  const timer = setTimeout(() => tooLate.abort(), OPEN_TIMEOUT_MS);
  try {
    const either = AbortSignal.any([signal, tooLate.signal]);
    for await (const response of client.streamResults(request, either)) {
      clearTimeout(timer);
      yield response;
    }
  } catch (cause) {
    if (!tooLate.signal.aborted) throw cause;
    const text = `the server did not open the stream in ${OPEN_TIMEOUT_MS} ms`;
    throw new AggregatorError("deadline_exceeded", text, { cause });
  } finally {
    clearTimeout(timer);
  }
}

/** Without a cursor, all that the server retains is asked for. */
function streamRequest(request: StreamRequest, cursor: string) {
  return { ...request, cursor, retained: cursor === "" };
}
