/** The result stream that outlives its connection, with a client that does what the test says. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { AggregatorError } from "../../../client/errors.js";
import type { AggregatorErrorKind } from "../../../client/errors.js";
import type { AggregatorClient } from "../../../client/rpc/aggregator-client.js";
import { liveResults } from "../../../client/rpc/live-results.js";
import {
  StreamResultsResponseSchema,
  type StreamResultsResponse,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

type Client = Pick<AggregatorClient, "streamResults" | "reconnect">;
const TIMERS = ["setTimeout", "clearTimeout", "setImmediate", "clearImmediate", "performance"];

beforeEach(() => void vi.useFakeTimers({ toFake: TIMERS as never[] }));
afterEach(() => void vi.useRealTimers());

const response = (init: MessageInitShape<typeof StreamResultsResponseSchema>) =>
  create(StreamResultsResponseSchema, init);
const opened = response({ event: { case: "opened", value: { serviceId: "s1" } } });
const heartbeat = response({ event: { case: "heartbeat", value: {} } });
const sending = (bytes: number) => response({ event: { case: "sending", value: { bytes } } });
const outcome = response({ event: { case: "outcome", value: { requestId: "A" } } });

/** Sends what the test pushes, until the signal ends the stream. */
class PushedClient implements Client {
  requests: unknown[] = [];
  reconnects = 0;
  #push: (response: StreamResultsResponse) => void = () => undefined;

  async *streamResults(request: unknown, signal?: AbortSignal) {
    this.requests.push(request);
    const waiting: StreamResultsResponse[] = [];
    let wake: () => void = () => undefined;
    this.#push = (each) => {
      waiting.push(each);
      wake();
    };
    signal?.addEventListener("abort", () => wake());
    while (signal?.aborted !== true) {
      const next = waiting.shift();
      if (next !== undefined) yield next;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
    throw new AggregatorError("cancelled", "the call was cancelled");
  }

  reconnect(): void {
    this.reconnects++;
  }

  push(each: StreamResultsResponse): void {
    this.#push(each);
  }
}

function read(client: Client, stop = new AbortController()) {
  const events: unknown[] = [];
  let attempts = 0;
  const request = () => ({ node: { nodeId: `attempt ${String(++attempts)}` } });
  const done = (async () => {
    for await (const event of liveResults(client, request, stop.signal)) events.push(event);
  })();
  return { events, done, stop };
}

/** Lets this many milliseconds pass on all clocks, and what waits on them happen. */
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

test("a stream that does not open within 2 s is broken, and the next one is on a new connection", async () => {
  const client = new PushedClient();
  const { events } = read(client);
  await pass(1999);
  // It is no `opened`, and so does not count.
  client.push(heartbeat);
  expect(events).toEqual([]);
  await pass(2);
  expect(events).toMatchObject([
    { kind: "broken", isSilent: true, isFinal: false, error: { kind: "unavailable" } },
  ]);
  expect(client.reconnects).toBe(1);
  await pass(100);
  expect(client.requests).toEqual([
    { node: { nodeId: "attempt 1" } },
    { node: { nodeId: "attempt 2" } },
  ]);
});

test("heartbeats keep a stream open, and silence of 1.5 s breaks it", async () => {
  const client = new PushedClient();
  const { events } = read(client);
  await pass(0);
  client.push(opened);
  for (let beats = 0; beats < 10; beats++) {
    await pass(1400);
    client.push(heartbeat);
  }
  expect(events).toEqual([{ kind: "response", response: opened }]);
  await pass(1499);
  expect(events).toHaveLength(1);
  await pass(2);
  expect(events.at(-1)).toMatchObject({ kind: "broken", isSilent: true });
});

test("an announced event may take 1 ms more for each 64 bytes, until the next event", async () => {
  const client = new PushedClient();
  const { events } = read(client);
  await pass(0);
  client.push(opened);
  await pass(0);
  client.push(sending(64_000));
  await pass(2400);
  client.push(outcome);
  await pass(0);
  expect(events).toHaveLength(2);
  await pass(1502);
  expect(events.at(-1)).toMatchObject({ kind: "broken", isSilent: true });
});

test("an announcement of more than an event can have counts as 2 MiB", async () => {
  const client = new PushedClient();
  const { events } = read(client);
  await pass(0);
  client.push(opened);
  await pass(0);
  client.push(sending(2 ** 32 - 1));
  await pass(1500 + (2 * 1024 * 1024) / 64 - 1);
  expect(events).toHaveLength(1);
  await pass(2);
  expect(events.at(-1)).toMatchObject({ kind: "broken", isSilent: true });
});

test("after a stall of this process, what has arrived is read first and the silence starts anew", async () => {
  const client = new PushedClient();
  const { events } = read(client);
  await pass(0);
  client.push(opened);
  await pass(0);
  // The clock has moved on by 2.1 s when the timer runs.
  const nowMs = performance.now();
  vi.spyOn(performance, "now").mockReturnValue(nowMs + 2100);
  await pass(1500);
  vi.restoreAllMocks();
  expect(events).toHaveLength(1);
  await pass(1400);
  client.push(heartbeat);
  await pass(1400);
  expect(events).toHaveLength(1);
});

test("the time that the reader takes is no silence", async () => {
  const client = new PushedClient();
  const results = liveResults(client, () => ({}), new AbortController().signal);
  const first = results.next();
  await pass(0);
  client.push(opened);
  expect((await first).value).toMatchObject({ kind: "response" });
  await pass(10_000);
  client.push(outcome);
  expect((await results.next()).value).toMatchObject({ kind: "response", response: outcome });
});

test("the waits double with each failed attempt up to 2 s, and a stream that opens resets them", async () => {
  const attemptsAtMs: number[] = [];
  const client: Client = {
    async *streamResults() {
      attemptsAtMs.push(performance.now());
      if (attemptsAtMs.length === 8) yield opened;
      await Promise.reject(new AggregatorError("unavailable", "gone"));
    },
    reconnect: () => undefined,
  };
  read(client);
  await pass(12_000);
  const waits = attemptsAtMs.slice(1).map((atMs, at) => Math.round(atMs - (attemptsAtMs[at] ?? 0)));
  expect(waits.slice(0, 9)).toEqual([100, 200, 400, 800, 1600, 2000, 2000, 100, 200]);
});

test("a stream ends with its signal", async () => {
  const client = new PushedClient();
  const { events, done, stop } = read(client);
  await pass(0);
  client.push(opened);
  await pass(0);
  stop.abort();
  await done;
  expect(events).toHaveLength(1);
});

test.each<[AggregatorErrorKind, boolean]>([
  ["unauthorized", true],
  ["unsupported", true],
  ["invalid_argument", true],
  ["node_id_in_use", true],
  ["unavailable", false],
  ["overloaded", false],
])("after %s, the retry is hopeless: %s", async (kind, isFinal) => {
  const client: Client = {
    async *streamResults() {
      await Promise.reject(new AggregatorError(kind, "refused"));
    },
    reconnect: () => undefined,
  };
  const { events } = read(client);
  await pass(0);
  expect(events).toMatchObject([{ kind: "broken", isSilent: false, isFinal }]);
});
