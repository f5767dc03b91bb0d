/**
 * Keeps one result stream to one endpoint open for as long as the adapter lives: resumes by cursor,
 * without one that is refused, and backs off from 100 ms to 2 s. Tells its owner everything through
 * `ResultStreamEvents`; never throws.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  NodeSchema,
  StreamResultsResponse,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { AggregatorClient } from "./aggregator-client.js";
import { AggregatorError } from "../errors.js";

const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 2000;

/** The server answers an opened stream at once; longer than this is a black hole. */
const OPEN_TIMEOUT_MS = 2000;

export interface ResultStreamEvents {
  onOpened(instance: string): void;
  /** Every response but `opened`. The cursor moves once this has returned. */
  onResponse(response: StreamResultsResponse): void;
  /** The stream broke, or an attempt to open it failed. */
  onDisconnected(error: AggregatorError): void;
}

export interface ResultStreamOptions {
  node: MessageInitShape<typeof NodeSchema>;
  client: AggregatorClient;
}

export class ResultStream {
  #cursor = "";

  constructor(
    private readonly options: ResultStreamOptions,
    private readonly events: ResultStreamEvents,
  ) {}

  /** Runs until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      const { hasOpened, error } = await this.#readOnce(signal);
      if (signal.aborted) return;
      failures = hasOpened ? 1 : failures + 1;
      this.events.onDisconnected(error);
      const backoffMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(failures - 1, 8));
      await delay(backoffMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  async #readOnce(signal: AbortSignal): Promise<{ hasOpened: boolean; error: AggregatorError }> {
    const opening = new AbortController();
    const timer = setTimeout(() => opening.abort(), OPEN_TIMEOUT_MS);
    timer.unref();
    let hasOpened = false;
    try {
      const { client, node } = this.options;
      const stop = AbortSignal.any([signal, opening.signal]);
      for await (const response of client.streamResults({ node, cursor: this.#cursor }, stop)) {
        // What was read ahead when the owner closed is not news to it any more.
        if (signal.aborted) break;
        if (response.event.case === "opened") {
          hasOpened = true;
          clearTimeout(timer);
          this.events.onOpened(response.event.value.serverInstance);
        } else {
          this.events.onResponse(response);
        }
        if (response.cursor !== "") this.#cursor = response.cursor;
      }
      return { hasOpened, error: new AggregatorError("unavailable", "the stream has ended") };
    } catch (cause) {
      const error = AggregatorError.from(cause);
      // Another version of the service may write cursors otherwise, and would refuse it for ever.
      if (error.kind === "invalid_argument") this.#cursor = "";
      return { hasOpened, error };
    } finally {
      clearTimeout(timer);
    }
  }
}
