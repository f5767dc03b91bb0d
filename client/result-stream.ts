/**
 * Keeps one result stream open for as long as the adapter lives: resumes by cursor, backs off from
 * 100 ms to 2 s, and goes to the next endpoint when one does not answer. Tells its owner
 * everything through `ResultStreamEvents`; never throws.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  NodeSchema,
  StreamResultsResponse,
} from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Endpoint } from "./endpoints.js";
import { AggregatorError } from "./errors.js";

const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 2000;

/** The server answers an opened stream at once; longer than this is a black hole. */
const OPEN_TIMEOUT_MS = 2000;

export interface ResultStreamEvents {
  onOpened(endpoint: Endpoint, instance: string): void;
  /** Every response but `opened`. The cursor moves once this has returned. */
  onResponse(endpoint: Endpoint, response: StreamResultsResponse): void;
  onDisconnected(endpoint: Endpoint, error: AggregatorError): void;
  onSwitched(endpoint: Endpoint): void;
}

export interface ResultStreamOptions {
  node: MessageInitShape<typeof NodeSchema>;
  /** In order of preference, one at least. */
  endpoints: readonly [Endpoint, ...Endpoint[]];
}

export class ResultStream {
  readonly #cursors = new Map<string, string>();
  #current: Endpoint;

  constructor(
    private readonly options: ResultStreamOptions,
    private readonly events: ResultStreamEvents,
  ) {
    this.#current = options.endpoints[0];
  }

  /** Where submissions go. */
  get current(): Endpoint {
    return this.#current;
  }

  /** Runs until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      const endpoint = this.#current;
      const { hasOpened, error } = await this.#readOnce(endpoint, signal);
      if (signal.aborted) return;
      failures = hasOpened ? 1 : failures + 1;
      this.events.onDisconnected(endpoint, error);
      // An endpoint that was up is asked once more before the next one.
      if (!hasOpened) this.#switch();
      const backoffMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(failures - 1, 8));
      await delay(backoffMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  #switch(): void {
    const { endpoints } = this.options;
    const next = endpoints[(endpoints.indexOf(this.#current) + 1) % endpoints.length];
    if (next === undefined || next === this.#current) return;
    this.#current = next;
    this.events.onSwitched(next);
  }

  async #readOnce(
    endpoint: Endpoint,
    signal: AbortSignal,
  ): Promise<{ hasOpened: boolean; error: AggregatorError }> {
    const opening = new AbortController();
    const timer = setTimeout(() => opening.abort(), OPEN_TIMEOUT_MS);
    timer.unref();
    let hasOpened = false;
    try {
      const request = {
        node: this.options.node,
        cursor: this.#cursors.get(endpoint.address) ?? "",
      };
      const stop = AbortSignal.any([signal, opening.signal]);
      for await (const response of endpoint.client.streamResults(request, stop)) {
        // What was read ahead when the owner closed is not news to it any more.
        if (signal.aborted) break;
        if (response.event.case === "opened") {
          hasOpened = true;
          clearTimeout(timer);
          this.events.onOpened(endpoint, response.event.value.serverInstance);
        } else {
          this.events.onResponse(endpoint, response);
        }
        if (response.cursor !== "") this.#cursors.set(endpoint.address, response.cursor);
      }
      return { hasOpened, error: new AggregatorError("unavailable", "the stream has ended") };
    } catch (error) {
      return { hasOpened, error: AggregatorError.from(error) };
    } finally {
      clearTimeout(timer);
    }
  }
}
