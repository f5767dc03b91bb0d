/** Following one session over streams that break where the test says, with a client of the test's. */
import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { AggregatorClient } from "../../../client/rpc/aggregator-client.js";
import { followSession } from "../../../cli/follow-session.js";
import { AggregatorError } from "../../../client/errors.js";
import type { AggregatorErrorKind } from "../../../client/errors.js";
import {
  GapCause,
  GetSessionResponseSchema,
  OutcomeSchema,
  SessionSchema,
  StreamResultsResponseSchema,
  SummarySchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { StreamResultsResponse } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

type Event = StreamResultsResponse["event"];
const outcome = (groupIndex: number): Event => ({
  case: "outcome",
  value: create(OutcomeSchema, { groupIndex }),
});
const summary: Event = { case: "summary", value: create(SummarySchema, { groups: 3 }) };
const gap: Event = {
  case: "gap",
  value: {
    $typeName: "lean.aggregator.v1.Gap",
    cause: GapCause.TRIMMED,
    sessionIds: [],
    events: 1n,
  },
};

/** Each stream sends its events and breaks with its error; each question has its answer. */
async function follow(
  streams: { events: readonly Event[]; error: AggregatorErrorKind }[],
  answers: (MessageInitShape<typeof SessionSchema> | AggregatorErrorKind)[],
) {
  const cursors: string[] = [];
  let sent = 0;
  const client: Pick<AggregatorClient, "streamResults" | "getSession"> = {
    async *streamResults({ cursor = "" }) {
      cursors.push(cursor);
      const stream = streams.shift();
      for (const event of stream?.events ?? []) {
        await Promise.resolve();
        yield create(StreamResultsResponseSchema, { event, cursor: String(++sent) });
      }
      throw new AggregatorError(stream?.error ?? "internal", "the stream broke");
    },
    getSession() {
      const answer = answers.shift() ?? "unavailable";
      if (typeof answer === "string") return Promise.reject(new AggregatorError(answer, "no"));
      return Promise.resolve(create(GetSessionResponseSchema, { session: answer }));
    },
  };
  const groups: number[] = [];
  const session = { server: "host:1", node: { nodeId: "n" }, sessionId: "s", fenceMs: 10_000 };
  const changes: boolean[] = [];
  const ended = await followSession(client, session, {
    onOutcome: ({ groupIndex }) => groups.push(groupIndex),
    onConnection: (isUp) => changes.push(isUp),
  });
  return { groups, cursors, ended, changes };
}

test("each group is reported once, whether a stream, the session itself, or both have it", async () => {
  const { groups, cursors, ended } = await follow(
    [
      { events: [outcome(0)], error: "unavailable" },
      { events: [outcome(1), outcome(2), summary], error: "unavailable" },
    ],
    [{ outcomes: [{ groupIndex: 0 }, { groupIndex: 1 }] }],
  );
  expect(groups).toEqual([0, 1, 2]);
  expect(cursors).toEqual(["", "1"]);
  expect(ended.groups).toBe(3);
});

test("a service that has no room for a stream is asked for the session instead", async () => {
  const { groups } = await follow(
    [
      { events: [], error: "overloaded" },
      { events: [], error: "overloaded" },
    ],
    ["deadline_exceeded", { outcomes: [{ groupIndex: 1 }], summary: { groups: 1 } }],
  );
  expect(groups).toEqual([1]);
});

test("a cursor that is refused is dropped, a request that is refused is not repeated", async () => {
  const refused = { events: [], error: "invalid_argument" } as const;
  const { groups, cursors } = await follow(
    [
      { events: [outcome(0)], error: "unavailable" },
      refused,
      { events: [outcome(0), outcome(1), summary], error: "unavailable" },
    ],
    [],
  );
  expect(groups).toEqual([0, 1]);
  expect(cursors).toEqual(["", "1", ""]);
  await expect(follow([refused], [])).rejects.toMatchObject({ kind: "invalid_argument" });
});

test("each loss of the connection, and each return, is reported once", async () => {
  const down = { events: [], error: "unavailable" } as const;
  const { changes } = await follow(
    [
      down,
      down,
      { events: [outcome(0)], error: "unavailable" },
      down,
      { events: [outcome(1), outcome(2), summary], error: "unavailable" },
    ],
    [],
  );
  expect(changes).toEqual([false, true, false, true]);
});

test("a gap is filled from the session", async () => {
  const { groups } = await follow(
    [{ events: [gap, outcome(1), summary], error: "unavailable" }],
    [{ outcomes: [{ groupIndex: 0 }] }],
  );
  expect(groups).toEqual([0, 1]);
});

test("a session that the service does not know any more is lost", async () => {
  const lost = follow([{ events: [], error: "unavailable" }], ["not_found"]);
  await expect(lost).rejects.toThrow(
    /^session s at host:1 is lost: the service no longer knows it .*; submit again$/,
  );
});

test("a stream that is refused is not opened again", async () => {
  await expect(follow([{ events: [], error: "unauthorized" }], [])).rejects.toMatchObject({
    kind: "unauthorized",
  });
});
