/** Every call is counted once, by its method and how it ended, in every protocol. */
import { request as httpRequest } from "node:http";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  GetServerInfoResponseSchema,
  StreamResultsResponseSchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { parsePolicy } from "../../../server/access/policy-file.js";
import type { Service } from "../../../server/service.js";
import { startBareServer } from "../../../tools/harness/wire/bare-server.js";
import {
  clientOver,
  Gate,
  inventedGroup,
  nodeFor,
  protocolNames,
  requestIdOf,
  streamOf,
} from "../../../tools/harness/wire/contract.js";
import type { AggregatorClient } from "../../../tools/harness/wire/contract.js";
import { snapshot } from "../../../tools/harness/vectors.js";
import { metricValue } from "../../helpers/metric-value.js";
import { startTestService } from "../../helpers/start-service.js";

const CALLS = "lean_aggregator_server_calls_total";
const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (error: unknown) => ConnectError.from(error).code,
  );

let service: Service;
const gate = new Gate();
beforeEach(async () => {
  service = await startTestService(gate.startProver);
});
afterEach(async () => {
  gate.open();
  await service.close();
});

/** What has been counted so far, as `{ "GetSession ok": 1 }`. */
async function counted(): Promise<Record<string, number>> {
  const { values = [] } = (await service.metrics.registry.getSingleMetric(CALLS)?.get()) ?? {};
  return Object.fromEntries(
    values
      .filter(({ value }) => value > 0)
      .map(({ labels, value }) => [`${labels.method} ${labels.code}`, value]),
  );
}

describe.each(protocolNames)("over %s", (protocol) => {
  let client: AggregatorClient;
  const node = nodeFor(protocol, "calls");
  const submit = () =>
    client.submitSnapshot({ node, snapshot: snapshot(100, [inventedGroup(0)]), deadlineMs: 5000 });
  beforeEach(() => {
    client = clientOver(service, protocol);
  });

  test("an answer is ok, a refusal has its code", async () => {
    await client.getServerInfo({});
    expect(await codeOf(client.getSession({ node, requestId: "none" }))).toBe(Code.NotFound);
    const malformed = { node: { nodeId: "two words" }, requestId: "" };
    expect(await codeOf(client.getSession(malformed))).toBe(Code.InvalidArgument);
    await expect.poll(counted).toEqual({
      "GetServerInfo ok": 1,
      "GetSession not_found": 1,
      "GetSession invalid_argument": 1,
    });
  });

  test("a caller that leaves is canceled, a stream that ends with its request is ok", async () => {
    gate.shut();
    const requestId = requestIdOf(await submit());
    const leaving = new AbortController();
    const waiting = client.getSession({ node, requestId, waitMs: 30_000 }, leaving);
    const left = codeOf(waiting);
    const reading = (async () => {
      for await (const { event } of client.streamResults(streamOf(node, requestId)))
        expect(event.case).toBeDefined();
    })();
    const streams = () =>
      metricValue(service.metrics.registry, "lean_aggregator_server_streams_open");
    await expect.poll(streams).toBe(1);
    leaving.abort();
    expect(await left).toBe(Code.Canceled);
    await expect.poll(counted).toMatchObject({ "GetSession canceled": 1 });
    gate.open();
    await reading;
    await expect.poll(counted).toEqual({
      "SubmitSnapshot ok": 1,
      "GetSession canceled": 1,
      "StreamResults ok": 1,
    });
    expect(await streams()).toBe(0);
  });

  test("a call whose own deadline passes is deadline_exceeded", async () => {
    gate.shut();
    const requestId = requestIdOf(await submit());
    const call = client.getSession({ node, requestId, waitMs: 30_000 }, { timeoutMs: 50 });
    expect(await codeOf(call)).toBe(Code.DeadlineExceeded);
    const ended = async () =>
      Object.keys(await counted()).filter((each) => each.startsWith("GetSession"));
    // Whichever comes first: the service's clock, or the client that has given up.
    await expect.poll(ended).toHaveLength(1);
    expect((await ended())[0]).toMatch(/deadline_exceeded|canceled/);
  });

  test("an answer that cannot be encoded is internal, and logged once", async () => {
    const lines: { level: number; path: string; msg: string }[] = [];
    const write = (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[number]);
    // JSON has no range, but a field of numbers takes no text.
    const wrong = protocol.includes("JSON") ? ("text" as unknown as number) : 2 ** 32;
    const bare = await startBareServer({
      log: pino({ level: "info" }, { write }),
      calls: {
        getServerInfo: () => create(GetServerInfoResponseSchema, { defaultDeadlineMs: wrong }),
        async *streamResults() {
          const event = { case: "sending", value: { bytes: 1 } } as const;
          yield await Promise.resolve(create(StreamResultsResponseSchema, { event }));
          const bad = { ...event, value: { bytes: wrong } };
          yield create(StreamResultsResponseSchema, { event: bad });
        },
      },
    });
    const direct = clientOver({ addresses: [bare.address] }, protocol);
    expect(await codeOf(direct.getServerInfo({}))).toBe(Code.Internal);
    const read = async () => {
      for await (const { event } of direct.streamResults({ node }))
        expect(event.case).toBe("sending");
    };
    expect(await codeOf(read())).toBe(Code.Internal);
    for (const method of ["GetServerInfo", "StreamResults"]) {
      const labels = { method, code: "internal" };
      await expect.poll(() => metricValue(bare.metrics.registry, CALLS, labels)).toBe(1);
    }
    const path = (method: string) => `/lean.aggregator.v1.AggregatorService/${method}`;
    const line = { level: 50, msg: "call failed: its answer cannot be encoded" };
    expect(lines).toMatchObject([
      { ...line, path: path("GetServerInfo") },
      { ...line, path: path("StreamResults") },
    ]);
    await bare.close();
  });
});

test("the bytes and the time of unary calls are counted by method", async () => {
  await clientOver(service, "gRPC")
    .getSession({ node: nodeFor("x", "y"), requestId: "none" })
    .catch(() => 0);
  const { registry } = service.metrics;
  const of = { method: "GetSession" };
  const bytes = await metricValue(registry, "lean_aggregator_server_request_bytes_total", of);
  expect(bytes).toBeGreaterThan(20);
  const seconds = service.metrics.callSeconds.get();
  const { values } = await seconds;
  const counts = values.filter(({ labels }) => JSON.stringify(labels) === JSON.stringify(of));
  expect(counts.map(({ value }) => value > 0)).toEqual([true, true]);
});

test("a method that is not served is other, however it is called", async () => {
  const post = (path: string, type: string) =>
    new Promise<void>((resolve, reject) => {
      const headers = { "content-type": type };
      const url = `http://${service.addresses[0]}${path}`;
      httpRequest(url, { method: "POST", headers, agent: false }, (response) => {
        response.resume().on("end", resolve);
      })
        .on("error", reject)
        .end("{}");
    });
  for (let at = 0; at < 50; at++) await post(`/a.b/${at}`, "application/json");
  await post("/lean.aggregator.v1.AggregatorService/Nope", "application/grpc");
  await post("/lean.aggregator.v1.AggregatorService/GetServerInfo", "text/csv");
  await expect
    .poll(counted)
    .toEqual({ "other unimplemented": 51, "GetServerInfo invalid_argument": 1 });
});

test("a denied call is counted as such, though its handler never runs", async () => {
  const policy = parsePolicy(JSON.stringify({ principals: [] }));
  const bare = await startBareServer({ policy });
  const url = `http://${bare.address}/lean.aggregator.v1.AggregatorService/GetServerInfo`;
  await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });
  const labels = { method: "GetServerInfo", code: "unauthenticated" };
  await expect.poll(() => metricValue(bare.metrics.registry, CALLS, labels)).toBe(1);
  await bare.close();
});
