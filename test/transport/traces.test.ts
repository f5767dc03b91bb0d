/** The export of traces against collectors that are down, slow, failing or hostile: the service goes on. */
import { create, toBinary } from "@bufbuild/protobuf";
import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ExportTraceServiceResponseSchema } from "../../proto/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import type { ActivityRecord } from "../../server/activity.js";
import { ActivityFeed } from "../../server/activity.js";
import type { Clock } from "../../server/clock.js";
import { limits } from "../../server/limits.js";
import { createMetrics } from "../../server/metrics/metrics.js";
import { Collector } from "../../server/traces/collector.js";
import { Tracing } from "../../server/traces/tracing.js";
import { SkipReason } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { spansIn, startCollector } from "../rpc/traces/collector.js";
import type { TestCollector } from "../rpc/traces/collector.js";

let collector: TestCollector;
beforeEach(async () => {
  collector = await startCollector();
});
afterEach(() => collector.close());

/** A clock that stands still until the test moves it. */
class HeldClock implements Clock {
  private atMs = 1000;
  private timers: { atMs: number; callback: () => void }[] = [];

  nowMs = () => this.atMs;
  unixMs = () => 1_700_000_000_000 + this.atMs;
  at(atMs: number, callback: () => void): () => void {
    const timer = { atMs, callback };
    this.timers.push(timer);
    return () => void (this.timers = this.timers.filter((each) => each !== timer));
  }
  move(ms: number): void {
    this.atMs += ms;
    for (const timer of this.timers.filter(({ atMs }) => atMs <= this.atMs)) {
      this.timers = this.timers.filter((each) => each !== timer);
      timer.callback();
    }
  }
}

const skip = (requestId: string): ActivityRecord => ({
  atMs: 5,
  event: {
    case: "skipped",
    value: { nodeId: "n", requestId, receivedAtMs: 4, reason: SkipReason.IN_FLIGHT },
  },
});

function tracingTo(url: string, headersFile?: string, activities: number = limits.activitiesMax) {
  const clock = new HeldClock();
  const activity = new ActivityFeed(activities);
  const metrics = createMetrics(["cpu"]);
  const logged: string[] = [];
  const log = pino({ base: null }, { write: (line: string) => void logged.push(line) });
  const to = new Collector({ url, headersFile }, { clock });
  const options = { ratio: 1, serviceId: "s", instance: "i", version: "1" };
  let ids = 0;
  const random = (bytes: number) => Buffer.alloc(bytes, (++ids % 255) + 1);
  const tracing = new Tracing(options, { clock, log, metrics, activity, collector: to, random });
  const counted = async () => {
    const { values } = await metrics.spans.get();
    return Object.fromEntries(
      values.map(({ labels, value }) => [(labels as { result: string }).result, value]),
    );
  };
  return { clock, activity, tracing, counted, logged };
}

const requests = () => expect.poll(() => collector.requests.length);

test("a refused request is not sent again, and its spans are counted as rejected", async () => {
  collector.answer = (response) => void response.writeHead(400).end("no such thing");
  const { activity, tracing, counted, logged } = tracingTo(collector.url);
  activity.add(skip("a"));
  tracing.collect();
  await expect.poll(counted).toEqual({ sent: 0, rejected: 1, dropped: 0 });
  await tracing.close();
  expect(collector.requests).toHaveLength(1);
  expect(logged.join()).toContain("HTTP status 400");
});

test.each([429, 502, 503, 504])("after status %i the same spans are sent again", async (status) => {
  collector.answer = (response) => void response.writeHead(status).end();
  const { clock, activity, tracing, counted, logged } = tracingTo(collector.url);
  activity.add(skip("a"));
  tracing.collect();
  await requests().toBe(1);
  await expect.poll(() => logged.length).toBe(1);
  tracing.collect();
  expect(collector.requests).toHaveLength(1);
  collector.answer = (response) => void response.writeHead(200).end();
  clock.move(1000);
  tracing.collect();
  await expect.poll(counted).toEqual({ sent: 1, rejected: 0, dropped: 0 });
  const [first, second] = collector.requests;
  expect(second?.message).toEqual(first?.message);
  expect(logged).toHaveLength(2);
  await tracing.close();
});

test("a collector that asks to be left alone for longer gets that, at most 30 s", async () => {
  collector.answer = (response) => void response.writeHead(503, { "retry-after": "86400" }).end();
  const { clock, activity, tracing, logged } = tracingTo(collector.url);
  activity.add(skip("a"));
  tracing.collect();
  await expect.poll(() => logged.length).toBe(1);
  clock.move(29_000);
  tracing.collect();
  await new Promise(setImmediate);
  expect(collector.requests).toHaveLength(1);
  clock.move(1000);
  tracing.collect();
  await requests().toBe(2);
  await tracing.close();
});

test("while nobody listens, spans wait up to a bound, the oldest are dropped and counted", async () => {
  const { url } = collector;
  await collector.close();
  const { clock, activity, tracing, counted, logged } = tracingTo(url);
  const over = 100;
  for (let n = 0; n < limits.spansWaitingMax + over; n++) {
    activity.add(skip(`r${n}`));
    if (n % limits.tracedActivitiesMax === 0) tracing.collect();
  }
  tracing.collect();
  await expect.poll(() => logged.length).toBe(1);
  await expect.poll(counted).toMatchObject({ sent: 0, dropped: over });
  expect(logged[0]).toContain("does not take the traces");
  clock.move(1);
  const closed = tracing.close();
  clock.move(2000);
  await closed;
  await expect.poll(counted).toMatchObject({ sent: 0, dropped: over + limits.spansWaitingMax });
});

test("a collector that never answers is cut after 5 s, and close ends within 2 s", async () => {
  collector.answer = () => undefined;
  const { clock, activity, tracing, counted, logged } = tracingTo(collector.url);
  activity.add(skip("a"));
  tracing.collect();
  await requests().toBe(1);
  clock.move(5000);
  await expect.poll(() => logged.join()).toContain("no answer within 5 s");
  clock.move(1000);
  tracing.collect();
  await requests().toBe(2);
  const closed = tracing.close();
  clock.move(2000);
  await closed;
  await expect.poll(counted).toEqual({ sent: 0, rejected: 0, dropped: 1 });
});

test("spans are taken by the status: an answer without end is cut, and one may be no protobuf", async () => {
  const cut: boolean[] = [];
  collector.answer = (response) => {
    response.writeHead(200).on("close", () => cut.push(true));
    const write = () => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536)));
    };
    response.on("drain", write);
    write();
  };
  const { clock, activity, tracing, counted } = tracingTo(collector.url);
  activity.add(skip("a"));
  tracing.collect();
  await expect.poll(counted).toEqual({ sent: 1, rejected: 0, dropped: 0 });
  await expect.poll(() => cut).toEqual([true]);
  activity.add(skip("b"));
  collector.answer = (response) => void response.writeHead(200).end("<html>\u0000\u00ff");
  clock.move(1000);
  tracing.collect();
  await expect.poll(counted).toEqual({ sent: 2, rejected: 0, dropped: 0 });
  await tracing.close();
});

test("spans that the collector rejects from a request that it takes are counted", async () => {
  const partialSuccess = { rejectedSpans: 2n, errorMessage: "too old\n" };
  const body = toBinary(
    ExportTraceServiceResponseSchema,
    create(ExportTraceServiceResponseSchema, { partialSuccess }),
  );
  collector.answer = (response) => void response.writeHead(200).end(body);
  const { activity, tracing, counted, logged } = tracingTo(collector.url);
  for (const id of ["a", "b", "c"]) activity.add(skip(id));
  tracing.collect();
  await expect.poll(counted).toEqual({ sent: 1, rejected: 2, dropped: 0 });
  expect(logged.join()).toContain("too old ");
  await tracing.close();
});

test("a redirect is not followed, and no proxy of the environment is used", async () => {
  const proxied: string[] = [];
  const proxy = createServer((socket) => {
    proxied.push("connected");
    socket.destroy();
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const { port } = proxy.address() as AddressInfo;
  const names = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"];
  const before = { ...process.env };
  for (const name of names) process.env[name] = `http://127.0.0.1:${port}`;
  process.env["NODE_USE_ENV_PROXY"] = "1";
  try {
    const location = `http://127.0.0.1:${port}/elsewhere`;
    collector.answer = (response) => void response.writeHead(307, { location }).end();
    const { activity, tracing, counted } = tracingTo(collector.url);
    activity.add(skip("a"));
    tracing.collect();
    await expect.poll(counted).toEqual({ sent: 0, rejected: 1, dropped: 0 });
    await tracing.close();
    expect(proxied).toEqual([]);
  } finally {
    process.env = before;
    proxy.close();
  }
});

test("headers come from a file, which is read again; a wrong one is named without its value", async () => {
  const file = join(mkdtempSync(join(tmpdir(), "traces-")), "headers.json");
  writeFileSync(file, '{"Authorization": "Bearer first"}');
  const { clock, activity, tracing, counted, logged } = tracingTo(collector.url, file);
  activity.add(skip("a"));
  tracing.collect();
  await expect.poll(counted).toMatchObject({ sent: 1 });
  expect(collector.requests[0]?.headers.authorization).toBe("Bearer first");
  writeFileSync(file, '{"authorization": "secret\\n"}');
  activity.add(skip("b"));
  clock.move(1000);
  tracing.collect();
  await expect.poll(() => logged.length).toBe(1);
  expect(logged[0]).toContain("authorization is no header");
  expect(logged[0]).not.toContain("secret");
  writeFileSync(file, '{"authorization": "Bearer second"}');
  clock.move(1000);
  tracing.collect();
  await expect.poll(counted).toMatchObject({ sent: 2 });
  expect(collector.requests[1]?.headers.authorization).toBe("Bearer second");
  await tracing.close();
});

test("activities that went before they were read are counted as dropped", async () => {
  const { activity, tracing, counted } = tracingTo(collector.url, undefined, 10);
  for (let n = 0; n < 15; n++) activity.add(skip(`r${n}`));
  tracing.collect();
  await expect.poll(counted).toEqual({ sent: 10, rejected: 0, dropped: 5 });
  expect(spansIn(collector)).toHaveLength(10);
  await tracing.close();
});
