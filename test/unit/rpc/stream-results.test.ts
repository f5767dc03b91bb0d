/** A result stream on an injected clock: what was missed, what comes, and when it ends. */
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  RequestState,
  ServiceState,
  StatusSchema,
  StreamResultsResponseSchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../server/limits.js";
import type { Request } from "./result-streams.js";
import { awaited, awaits, FENCE_MS, lineOf, lines, PROOF, start, take } from "./result-streams.js";

test("`opened` has an entry for each awaited request, in the order of the request", async () => {
  const { add, end, open } = start();
  add("over");
  end("over");
  add("busy");
  const opened = await take(open(awaits("none", "busy", "over")));
  const { UNKNOWN, IN_FLIGHT, ENDED } = RequestState;
  expect(opened).toMatchObject({
    case: "opened",
    value: {
      serviceId: "service",
      run: "run",
      status: { state: ServiceState.READY },
      limits: { awaitedMax: limits.awaitedMax, heartbeatMs: limits.heartbeatMs },
      awaited: [
        { requestId: "none", state: UNKNOWN },
        { requestId: "busy", state: IN_FLIGHT },
        { requestId: "over", state: ENDED },
      ],
    },
  });
});

test("missing outcomes come by group index, then the summary, then what happens", async () => {
  const { add, outcome, end, open } = start();
  for (const requestId of ["a", "b", "other"]) add(requestId);
  for (const group of [2, 0, 1]) outcome("a", group);
  end("a");
  outcome("b", 1);
  outcome("other", 0);
  const stream = open({ awaited: [awaited("a", [0]), awaited("b")] });
  expect(await lines(stream, 2)).toEqual(["opened", "a/1"]);
  outcome("b", 0);
  end("b");
  outcome("other", 1);
  const rest = ["a/2", "a ended", "b/1", "b/0", "b ended", "other/1"];
  expect(await lines(stream, rest.length)).toEqual(rest);
});

test("groups that a reader has of an unknown request are not those of a later one of that id", async () => {
  const { add, outcome, end, open } = start({ requestsMax: 1 });
  add("known");
  outcome("known", 0);
  const stream = open({ awaited: [awaited("a", [0]), awaited("known", [0, 1])] });
  expect(await lines(stream, 1)).toEqual(["opened"]);
  outcome("known", 1);
  end("known");
  add("a");
  outcome("a", 0);
  expect(await lines(stream, 2)).toEqual(["known ended", "a/0"]);
});

test("a stream that awaits nothing has only what happens; `retained` adds all there is", async () => {
  const { add, outcome, end, open } = start();
  add("a");
  outcome("a", 0);
  end("a");
  expect(await lines(open({ noFollow: true }))).toEqual(["opened"]);
  const all = ["opened", "a/0", "a ended"];
  expect(await lines(open({ retained: true, noFollow: true }))).toEqual(all);
});

test("a stream of awaited requests only ends when the last of them has ended", async () => {
  const { add, outcome, end, open } = start();
  for (const requestId of ["a", "b", "other"]) add(requestId);
  const stream = open({ ...awaits("a", "b"), awaitedOnly: true });
  expect(await lines(stream, 1)).toEqual(["opened"]);
  outcome("other", 0);
  outcome("b", 0);
  end("b");
  end("a");
  expect(await lines(stream)).toEqual(["b/0", "b ended", "a ended"]);
  const unknown = open({ ...awaits("a", "none"), awaitedOnly: true });
  await expect(unknown.next()).rejects.toThrow(/^awaited\[1\]\.request_id: no request "none"/);
});

test("more received groups than a request can have are refused", async () => {
  const { open } = start();
  const refusalOf = (groups: number[]) =>
    open({ awaited: [awaited("a", groups)] })
      .next()
      .then(
        () => "",
        (error: unknown) => String(error),
      );
  const all = [...Array(limits.groupsSentMax).keys()];
  expect(await refusalOf(all)).toBe("");
  expect(await refusalOf([...all, 0])).toMatch(/awaited\[0\]\.received_groups: has 257 entries/);
  expect(await refusalOf([256])).toMatch(/awaited\[0\]\.received_groups: 256: a request has/);
});

test("the size of a proof's event is announced right before it", async () => {
  const { add, outcome, open } = start();
  add("a");
  outcome("a", 0, PROOF);
  const stream = open({ retained: true });
  await take(stream);
  const sending = await take(stream);
  const event = await take(stream);
  const encoded = toBinary(
    StreamResultsResponseSchema,
    create(StreamResultsResponseSchema, { event }),
  );
  expect(sending).toMatchObject({ case: "sending", value: { bytes: encoded.length } });
  expect(event).toMatchObject({ case: "outcome", value: { proof: PROOF } });
});

test("a proof that meets its fence after its announcement is sent without bytes", async () => {
  const { clock, add, outcome, open } = start();
  add("a");
  outcome("a", 0, PROOF);
  const stream = open({ retained: true });
  expect(await lines(stream, 2)).toEqual(["opened", "sending"]);
  clock.standStill(FENCE_MS);
  const { value } = await take(stream);
  expect(value).toMatchObject({ proof: new Uint8Array(), proofErased: true });
});

test("a heartbeat comes after each silence, and an event starts the silence anew", async () => {
  const { clock, add, outcome, open } = start();
  add("a");
  const stream = open();
  await take(stream);
  const arrivals: [string, number][] = [];
  const read = async (count: number) => {
    while (arrivals.length < count) {
      arrivals.push([lineOf(await take(stream)), clock.nowMs()]);
    }
  };
  const reading = read(4);
  clock.at(700, () => outcome("a", 0));
  await clock.runUntil(2000, () => undefined);
  await reading;
  expect(arrivals).toEqual([
    ["heartbeat", 500],
    ["a/0", 700],
    ["heartbeat", 1200],
    ["heartbeat", 1700],
  ]);
});

test("no heartbeat is made while the reader has not taken what was sent", async () => {
  const { clock, open } = start();
  const stream = open();
  await take(stream);
  await clock.runUntil(10_000, () => undefined);
  expect(clock.pending).toBe(0);
  const waiting = take(stream);
  await clock.runUntil(10_500, () => undefined);
  expect(lineOf(await waiting)).toBe("heartbeat");
});

test("each new status is an event", async () => {
  const { status, open } = start();
  const stream = open();
  await take(stream);
  for (const state of [ServiceState.NO_PROVER, ServiceState.DRAINING]) {
    const next = take(stream);
    status.current = create(StatusSchema, { state });
    status.changes.announce();
    expect(await next).toMatchObject({ case: "status", value: { state } });
  }
});

test("on drain the stream delivers what there is, and ends", async () => {
  const { draining, add, outcome, end, open } = start();
  add("a");
  const stream = open();
  await take(stream);
  outcome("a", 0);
  end("a");
  draining.abort();
  expect(await lines(stream)).toEqual(["a/0", "a ended"]);
});

test("a stream of an epoch has its own requests only, and ends when a later run calls", async () => {
  const { record, add, outcome, open } = start();
  record.enterEpoch(2n);
  for (const [requestId, epoch] of [
    ["old", 1n],
    ["own", 2n],
    ["none", 0n],
  ] as const) {
    add(requestId, epoch);
    outcome(requestId, 0);
  }
  const node = { nodeId: "n", nodeEpoch: 2n };
  const stream = open({ node, ...awaits("old", "own", "none") });
  const { UNKNOWN, IN_FLIGHT } = RequestState;
  const states = [UNKNOWN, IN_FLIGHT, UNKNOWN].map((state) => ({ state }));
  expect(await take(stream)).toMatchObject({ value: { awaited: states } });
  expect(await lines(stream, 1)).toEqual(["own/0"]);
  for (const requestId of ["old", "none", "own"]) outcome(requestId, 1);
  expect(await lines(stream, 1)).toEqual(["own/1"]);
  const ended = expect(stream.next()).rejects.toMatchObject({
    kind: "failed_precondition",
    message: expect.stringMatching(/^node_id_in_use/) as string,
  });
  record.enterEpoch(3n);
  await ended;
  expect(record.streams.size).toBe(0);
});

test.each(["missed", "live"])(
  "no %s proof follows once its reader may read no more",
  async (kind) => {
    const { record, add, outcome, open } = start();
    const revoked = new AbortController();
    add("a");
    if (kind === "missed") outcome("a", 0, PROOF);
    const stream = open(awaits("a"), revoked.signal);
    expect(await lines(stream, 1)).toEqual(["opened"]);
    if (kind === "live") outcome("a", 0, PROOF);
    expect(await lines(stream, 1)).toEqual(["sending"]);
    revoked.abort();
    expect(await lines(stream)).toEqual([]);
    expect(record.streams.size).toBe(0);
  },
);

test("a reader that is too slow is ended as behind, and a new stream has what it missed", async () => {
  const { record, add, outcome, end, open } = start({ eventsMax: 5 });
  add("a");
  const stream = open();
  await take(stream);
  for (let group = 0; group < 6; group++) outcome("a", group);
  await expect(stream.next()).rejects.toMatchObject({
    kind: "aborted",
    message: expect.stringMatching(/^behind/) as string,
  });
  end("a");
  const again = await lines(open({ ...awaits("a"), awaitedOnly: true }));
  expect(again).toEqual(["opened", ...[0, 1, 2, 3, 4, 5].map((group) => `a/${group}`), "a ended"]);
  expect(record.streams.size).toBe(0);
});

test("a reader whose awaited request is forgotten while it catches up is behind", async () => {
  const { add, outcome, end, open } = start({ requestsMax: 1 });
  add("a");
  outcome("a", 0, PROOF);
  outcome("a", 1, PROOF);
  end("a");
  const stream = open(awaits("a"));
  expect(await lines(stream, 3)).toEqual(["opened", "sending", "a/0"]);
  add("b");
  end("b");
  await expect(stream.next()).rejects.toMatchObject({ kind: "aborted" });
});

test("a request that is forgotten before its turn is not kept for a reader, who is behind", async () => {
  const { add, end, open } = start({ requestsMax: 1 });
  add("a");
  end("a");
  const stream = open(awaits("a"));
  expect(await lines(stream, 1)).toEqual(["opened"]);
  add("b");
  end("b");
  await expect(stream.next()).rejects.toMatchObject({ kind: "aborted" });
});

test("streams of a node are bounded, and one that ends makes room", async () => {
  const { open } = start();
  const streams = Array.from({ length: limits.streamsPerNodeMax }, () => open());
  for (const stream of streams) await take(stream);
  await expect(open().next()).rejects.toMatchObject({ kind: "resource_exhausted" });
  await streams[0]?.return(undefined);
  expect(lineOf(await take(open()))).toBe("opened");
});

test("streams without an epoch take no place of the node's own", async () => {
  const { open } = start();
  const own = { node: { nodeId: "n", nodeEpoch: 1n } };
  const full = (request: Request) =>
    Array.from({ length: limits.streamsPerNodeMax }, () => open(request));
  for (const stream of full({})) await take(stream);
  await expect(open().next()).rejects.toThrow(/8 streams of this node without a node_epoch/);
  for (const stream of full(own)) expect(lineOf(await take(stream))).toBe("opened");
  await expect(open(own).next()).rejects.toThrow(/8 streams of this node with a node_epoch/);
});

test("however reads, events and new streams mix, a reader gets every event once", async () => {
  const REQUESTS = ["a", "b", "c"];
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.constant({ kind: "read" as const }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("event" as const), at: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.constant({ kind: "reopen" as const }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { record, clock, add, outcome, end, open } = start();
      const made = new Map(REQUESTS.map((requestId) => [requestId, 0]));
      const expected: string[] = [];
      for (const requestId of REQUESTS) add(requestId);
      const event = (requestId: string) => {
        const group = made.get(requestId) ?? 0;
        if (group > 3) return;
        made.set(requestId, group + 1);
        expected.push(group < 3 ? `${requestId}/${group}` : `${requestId} ended`);
        if (group < 3) outcome(requestId, group, group === 1 ? PROOF : undefined);
        else end(requestId);
      };
      const got: string[] = [];
      const has = (requestId: string) =>
        [0, 1, 2].filter((group) => got.includes(`${requestId}/${group}`));
      const reopened = () => {
        const open_ = REQUESTS.filter((requestId) => !got.includes(`${requestId} ended`));
        return open({ awaited: open_.map((requestId) => awaited(requestId, has(requestId))) });
      };
      const isResult = (line: string) => line.includes("/") || line.endsWith("ended");
      let stream = reopened();
      await take(stream);
      const isBehindEvents = () => got.length < expected.length;
      const read = async () => {
        if (!isBehindEvents()) return;
        const line = lineOf(await take(stream));
        if (isResult(line)) got.push(line);
      };
      for (const each of steps) {
        if (each.kind === "event") event(REQUESTS[each.at] ?? "");
        else if (each.kind === "read") await read();
        else {
          await stream.return(undefined);
          stream = reopened();
          await take(stream);
        }
      }
      while (isBehindEvents()) await read();
      await stream.return(undefined);
      expect([...got].sort()).toEqual([...expected].sort());
      for (const requestId of REQUESTS) {
        const own = got.filter((line) => line.startsWith(requestId));
        if (own.includes(`${requestId} ended`)) expect(own.at(-1)).toBe(`${requestId} ended`);
      }
      expect([record.streams.size, clock.pending]).toEqual([0, 0]);
    }),
    { numRuns: 300 },
  );
});
