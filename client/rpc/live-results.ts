/**
 * A result stream that outlives its connection. After a break it is opened anew, 100 ms to 2 s
 * later, and names what the reader awaits then. A silent stream counts as broken, and the next one
 * is on a new connection. The adapter and the command line read results through it.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  StreamResultsRequestSchema,
  StreamResultsResponse,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { AggregatorError, isFinal as isFinalKind } from "../errors.js";
import type { AggregatorClient } from "./aggregator-client.js";
import { Silence } from "./silence.js";

const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 2000;

/** The server sends `opened` at once. */
const OPEN_MS = 2000;

/** The server sends a heartbeat after 500 ms without an event. */
const SILENCE_MS = 1500;

/** Rate at which an announced event has to arrive at least: 64 KB/s. */
const BYTES_PER_MS = 64;

/**
 * Most bytes of an event: a proof of 512 KiB, 42 bytes for each of 16,384 inputs that it names, and some
 * room. An announcement of more must not switch the watch for silence off.
 */
export const EVENT_BYTES_MAX = 2 * 1024 * 1024;

export type LiveEvent =
  /** The first response of each stream is `opened`. Heartbeats are not reported. */
  | { kind: "response"; response: StreamResultsResponse }
  /**
   * The stream broke, or an attempt to open it failed. The next attempt follows. `isSilent`: nothing
   * arrived for longer than is allowed. `isFinal`: the next attempt will fail too, as the server
   * refuses the request itself.
   */
  | { kind: "broken"; error: AggregatorError; isSilent: boolean; isFinal: boolean };

export type LiveRequest = Exclude<
  MessageInitShape<typeof StreamResultsRequestSchema>,
  { $typeName: string }
>;

type StreamClient = Pick<AggregatorClient, "streamResults" | "reconnect">;

/**
 * Streams results until `signal` aborts. Calls `request` before each attempt. Time that the reader
 * takes for an event is no silence. Never throws.
 */
export async function* liveResults(
  client: StreamClient,
  request: () => LiveRequest,
  signal: AbortSignal,
): AsyncGenerator<LiveEvent, void, undefined> {
  let failures = 0;
  while (!signal.aborted) {
    const silence = new Silence();
    let error = new AggregatorError("unavailable", "the server has ended the stream");
    let isOpen = false;
    try {
      for await (const response of openStream(client, request(), signal, silence)) {
        failures = 0;
        isOpen = true;
        // The reader has stopped: drop what was received in advance.
        if (signal.aborted) return;
        yield { kind: "response", response };
      }
    } catch (cause) {
      error = AggregatorError.from(cause);
    }
    if (signal.aborted) return;
    const isSilent = silence.signal.aborted;
    if (isSilent) error = silenceError(isOpen);
    yield { kind: "broken", error, isSilent, isFinal: !isSilent && isFinalKind(error.kind) };
    // Not before: a try that fails at an endpoint that is up, after its deadline, is over.
    if (isSilent) client.reconnect();
    const backoffMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(failures++, 8));
    await pause(backoffMs, signal);
  }
}

/** One stream, from its `opened` on. Ends with an error when it is silent. */
async function* openStream(
  client: StreamClient,
  request: LiveRequest,
  signal: AbortSignal,
  silence: Silence,
): AsyncGenerator<StreamResultsResponse, void, undefined> {
  silence.start(OPEN_MS);
  try {
    let isOpen = false;
    const either = AbortSignal.any([signal, silence.signal]);
    for await (const response of client.streamResults(request, either)) {
      const { event } = response;
      isOpen ||= event.case === "opened";
      if (!isOpen) continue;
      silence.stop();
      if (event.case !== "heartbeat" && event.case !== "sending") yield response;
      const bytes = event.case === "sending" ? event.value.bytes : 0;
      silence.start(SILENCE_MS + Math.min(bytes, EVENT_BYTES_MAX) / BYTES_PER_MS);
    }
  } finally {
    silence.stop();
  }
}

function silenceError(isOpen: boolean): AggregatorError {
  return isOpen
    ? new AggregatorError("unavailable", "the server has sent nothing for too long")
    : new AggregatorError("unavailable", `the server did not open the stream in ${OPEN_MS} ms`);
}

/** Resolves after `ms`, or when the signal aborts. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
  });
}
