/**
 * Ten thousand malformed snapshots over sockets: each is refused or accounted for, a
 * node that behaves has its results in between, and afterwards the service is as it was.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { OutcomeStatus } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { parseConfig } from "../../server/config/config.js";
import { limits } from "../../server/limits.js";
import { createLog } from "../../server/log/log.js";
import { startFakeProver } from "../../server/prover/fake/fake.js";
import type { Service } from "../../server/service.js";
import { startService } from "../../server/service.js";
import { clientOver, inventedGroup, outcomesOf } from "../../tools/harness/wire/contract.js";
import type { AggregatorClient } from "../../tools/harness/wire/contract.js";
import { Flood } from "../../tools/fuzz/flood.js";
import { submitRequests } from "../../tools/fuzz/seeds.js";
import { testMachine } from "../helpers/start-service.js";
import { SkippingClock } from "../../tools/harness/skipping-clock.js";

const SEED = 20_261_124;
const COUNT = 10_000;
const ROUNDS = 25;
const CONNECTIONS = 8;
/** Enough for code to be compiled and caches to fill, so that what grows later is a leak. */
const WARM_UP = 2000;
const HEAP_SLACK_BYTES = 12e6;
/** The allocator keeps pages for itself, and compiled code is no heap. */
const RSS_SLACK_BYTES = 64e6;
/** Half a minute on two idle cores. */
const RUN_MS_MAX = 300_000;

const clock = new SkippingClock();
let service: Service;
let behaved: AggregatorClient;

beforeAll(async () => {
  const config = parseConfig({
    listen: ["127.0.0.1:0"],
    probes: "127.0.0.1:0",
    admin: "off",
    standby: "0",
    logLevel: "silent",
  });
  const startProver = () => startFakeProver({ proveMs: () => 0, sleep: () => Promise.resolve() });
  service = await startService(config, {
    clock,
    log: createLog("silent"),
    devices: config.devices.map(({ id }) => ({ id, startProver })),
    policy: undefined,
    readMachine: () => testMachine,
    serviceId: "fuzz",
    instance: "00000000000000fa",
    version: "test",
  });
  await service.ready();
  behaved = clientOver(service, "gRPC");
});
afterAll(() => service.close());

async function gauges() {
  const { heldBytes, sessionsInFlight } = service.metrics;
  const of = async (gauge: typeof heldBytes) => (await gauge.get()).values[0]?.value;
  return { heldBytes: await of(heldBytes), sessions: await of(sessionsInFlight) };
}

/** What is held once every fence and retention is over and all garbage is collected. */
async function settled() {
  clock.skip(limits.fenceMsMax + limits.retentionMs + 1);
  await expect.poll(gauges, { timeout: 10_000 }).toEqual({ heldBytes: 0, sessions: 0 });
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let times = 0; times < 3; times++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  const sockets = process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP"));
  return { heapBytes: heapUsed + external, rssBytes: rss, sockets: sockets.length };
}

async function wellBehaved(n: number): Promise<void> {
  const outcomes = await outcomesOf(behaved, { nodeId: "well-behaved" }, [inventedGroup(n)]);
  expect(outcomes.map(({ status }) => status)).toEqual([OutcomeStatus.PROVED]);
}

test(
  "10,000 malformed snapshots leave nothing behind, and nobody else notices",
  async () => {
    const [address = ""] = service.addresses;
    const warmUp = new Flood(submitRequests(), SEED - 1);
    await wellBehaved(0);
    await warmUp.send(address, WARM_UP, CONNECTIONS);
    const before = await settled();

    const flood = new Flood(submitRequests(), SEED);
    const startedMs = performance.now();
    for (let round = 1; round <= ROUNDS; round++) {
      const others = wellBehaved(round);
      await flood.send(address, COUNT / ROUNDS, CONNECTIONS);
      await others;
    }
    const seconds = (performance.now() - startedMs) / 1000;
    const after = await settled();

    const { tally } = flood;
    const answers = Object.entries(tally).filter(([what]) => !what.startsWith("group"));
    expect(answers.reduce((sum, [, count]) => sum + count, 0)).toBe(COUNT);
    expect(tally["refused 3"]).toBeGreaterThan(COUNT / 4);
    expect(tally["accepted"]).toBeGreaterThan(COUNT / 40);
    process.stdout.write(`${JSON.stringify({ seconds, tally, before, after }, undefined, 1)}\n`);
    expect(after.sockets).toBeLessThanOrEqual(before.sockets);
    expect(after.heapBytes - before.heapBytes).toBeLessThan(HEAP_SLACK_BYTES);
    expect(after.rssBytes - before.rssBytes).toBeLessThan(RSS_SLACK_BYTES);
  },
  RUN_MS_MAX,
);
