/** Following one request over streams that break where the test says, with a client of the test's. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { AggregatorClient } from "../../../client/rpc/aggregator-client.js";
import { followSession } from "../../../cli/follow-session.js";
import { AggregatorError } from "../../../client/errors.js";
import type { AggregatorErrorKind } from "../../../client/errors.js";
import {
  OpenedSchema,
  OutcomeSchema,
  StreamResultsRequestSchema,
  StreamResultsResponseSchema,
  SummarySchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type {
  StreamResultsRequest,
  StreamResultsResponse,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

type Event = StreamResultsResponse["event"];
const opened: Event = { case: "opened", value: create(OpenedSchema) };
const outcome = (groupIndex: number): Event => ({
  case: "outcome",
  value: create(OutcomeSchema, { groupIndex }),
});
const summary: Event = { case: "summary", value: create(SummarySchema, { groups: 3 }) };

/** Each stream opens, sends its events and breaks with its error. */
async function follow(
  streams: { events: readonly Event[]; error: AggregatorErrorKind }[],
  interrupted = new AbortController().signal,
) {
  const requests: StreamResultsRequest[] = [];
  const client: Pick<AggregatorClient, "streamResults" | "reconnect"> = {
    async *streamResults(request) {
      requests.push(create(StreamResultsRequestSchema, request));
      const stream = streams.shift();
      for (const event of [opened, ...(stream?.events ?? [])]) {
        await Promise.resolve();
        yield create(StreamResultsResponseSchema, { event });
      }
      throw new AggregatorError(stream?.error ?? "internal", "the stream broke");
    },
    reconnect: () => undefined,
  };
  const groups: number[] = [];
  const node = { nodeId: "n" };
  const session = { server: "host:1", node, requestId: "r", fenceMs: 10_000, interrupted };
  const changes: boolean[] = [];
  const ended = await followSession(client, session, {
    onOutcome: ({ groupIndex }) => groups.push(groupIndex),
    onConnection: (isUp) => changes.push(isUp),
  });
  return { groups, requests, ended, changes };
}

test("each group is reported once, and named as received when the stream is opened anew", async () => {
  const { groups, requests, ended } = await follow([
    { events: [outcome(0), outcome(2)], error: "unavailable" },
    { events: [outcome(0), outcome(1), summary], error: "unavailable" },
  ]);
  expect(groups).toEqual([0, 2, 1]);
  expect(requests).toMatchObject([
    { awaited: [{ requestId: "r", receivedGroups: [] }], awaitedOnly: true },
    { awaited: [{ requestId: "r", receivedGroups: [0, 2] }], awaitedOnly: true },
  ]);
  expect(ended.groups).toBe(3);
});

test("each loss of the connection, and each return, is reported once", async () => {
  const { changes } = await follow([
    { events: [outcome(0)], error: "unavailable" },
    { events: [outcome(1)], error: "overloaded" },
    { events: [outcome(2), summary], error: "unavailable" },
  ]);
  expect(changes).toEqual([false, true, false, true]);
});

test("a request that the service does not know any more is lost", async () => {
  const lost = follow([
    { events: [], error: "unavailable" },
    { events: [], error: "not_found" },
  ]);
  await expect(lost).rejects.toThrow(
    /^request r at host:1 is lost: the service does not know it .*; submit again$/,
  );
});

test.each(["invalid_argument", "unauthorized"] as const)(
  "a stream that is refused as %s is not opened again",
  async (error) => {
    await expect(follow([{ events: [], error }])).rejects.toMatchObject({ kind: error });
  },
);

test("an interruption is an error that says how to see the end", async () => {
  const abort = new AbortController();
  abort.abort();
  await expect(follow([], abort.signal)).rejects.toThrow(
    "interrupted: request r goes on at host:1; to see how it ends, submit again with --request-id r",
  );
});
