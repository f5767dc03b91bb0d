/** The resumed result stream, with a client whose streams do what the test says. */
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { AggregatorError } from "../../../client/errors.js";
import type { AggregatorErrorKind } from "../../../client/errors.js";
import type { AggregatorClient } from "../../../client/rpc/aggregator-client.js";
import { resumeResults } from "../../../client/rpc/result-stream.js";
import type { StreamResultsResponse } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { StreamResultsResponseSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

type Client = Pick<AggregatorClient, "streamResults">;

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

const opened = create(StreamResultsResponseSchema, {
  cursor: "c1",
  event: { case: "opened", value: { serverInstance: "i1" } },
});

/** A stream with these responses, which then stays silent until the signal ends it. */
function silentAfter(...responses: StreamResultsResponse[]): Client {
  return {
    async *streamResults(_request, signal) {
      yield* responses;
      await new Promise((resolve) => signal?.addEventListener("abort", resolve));
      throw new AggregatorError("cancelled", "the call was cancelled");
    },
  };
}

test("a stream that does not open within 2 s is broken, and the next attempt follows", async () => {
  const results = resumeResults(silentAfter(), {}, new AbortController().signal);
  const first = results.next();
  await vi.advanceTimersByTimeAsync(1999);
  expect(await Promise.race([first, "waiting"])).toBe("waiting");
  await vi.advanceTimersByTimeAsync(1);
  expect((await first).value).toMatchObject({
    kind: "broken",
    error: { kind: "deadline_exceeded" },
    isFinal: false,
  });
});

test("an open stream may be silent for as long as it likes, and ends with the signal", async () => {
  const stop = new AbortController();
  const results = resumeResults(silentAfter(opened), {}, stop.signal);
  expect((await results.next()).value).toMatchObject({ kind: "response", response: opened });
  const second = results.next();
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect(await Promise.race([second, "waiting"])).toBe("waiting");
  stop.abort();
  expect(await second).toEqual({ done: true, value: undefined });
});

test.each<[AggregatorErrorKind, boolean]>([
  ["unauthorized", true],
  ["unsupported", true],
  ["invalid_argument", true],
  ["unavailable", false],
  ["overloaded", false],
])("after %s, the retry is hopeless: %s", async (kind, isFinal) => {
  const client: Client = {
    async *streamResults() {
      await Promise.reject(new AggregatorError(kind, "refused"));
    },
  };
  const results = resumeResults(client, {}, new AbortController().signal);
  expect((await results.next()).value).toMatchObject({ kind: "broken", isFinal });
});
