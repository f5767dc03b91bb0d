/** The audit record of a lane host: who used its lanes, for how long; its sums are the counters'. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { AuditTrail } from "../../server/audit/audit-log.js";
import { systemClock } from "../../server/clock.js";
import { MemoryBroker } from "../../server/engine/memory-engine.js";
import { createHostMetrics } from "../../server/fleet/host/host-metrics.js";
import { LaneHost } from "../../server/fleet/host/lane-host.js";
import { blobOf } from "../../server/fleet/wire/blobs.js";
import { decodeVerdict } from "../../server/fleet/wire/codec.js";
import { LocalLanes } from "../../server/lane/local-lanes.js";
import { createLog } from "../../server/log/log.js";
import { createMetrics } from "../../server/metrics/metrics.js";
import { inputDigest } from "../../server/work/input-digest.js";
import { metricValue } from "../helpers/metric-value.js";
import { ScriptedDoor, workOf } from "../unit/fleet/scripted-door.js";
import { GatedProver } from "./schedule/gated-prover.js";

type Line = Record<string, unknown> & { kind: string };

const HOST = "lean_aggregator_server_lane_host_";
const nowMs = () => systemClock.nowMs();
let lines: Line[];
let prover: GatedProver;
let lanes: LocalLanes;
let host: LaneHost;
let metrics: ReturnType<typeof createMetrics>;
let a: ScriptedDoor;
let b: ScriptedDoor;

beforeEach(async () => {
  lines = [];
  prover = new GatedProver();
  metrics = createMetrics(["cpu"]);
  const broker = new MemoryBroker({ clock: systemClock });
  const log = createLog("silent");
  const modules = { clock: systemClock, log };
  lanes = new LocalLanes(
    [{ id: "cpu", startProver: prover.start, cores: 2 }],
    { standbyBytesMax: Infinity, residentBytesMax: 1e9, refreshShare: 0 },
    { ...modules, metrics, post: (message, receive) => queueMicrotask(() => receive(message)) },
  );
  const audit: AuditTrail = { add: (kind, fields) => void lines.push({ ...fields, kind }) };
  host = new LaneHost(
    { cell: "main", host: { id: "h1", run: "f".repeat(16) } },
    {
      ...modules,
      metrics: createHostMetrics(metrics.registry),
      engine: broker.connect("h1"),
      lanes,
      audit,
    },
  );
  a = new ScriptedDoor(broker.connect("a"), "a", "h1", nowMs);
  b = new ScriptedDoor(broker.connect("b"), "b", "h1", nowMs);
  host.open();
  await a.untilPhase("cpu", "idle");
});

afterEach(async () => {
  prover.endProofs();
  host.close();
  await lanes.close();
});

const of = (kind: string) => lines.filter((line) => line.kind === kind);
const count = (name: string, labels = {}) =>
  metricValue(metrics.registry, `${HOST}${name}`, labels);

/** Proves the work for door a, under this number. */
async function proved(attempt: number): Promise<void> {
  await a.untilPhase("cpu", "idle");
  a.assign("cpu", attempt, workOf(attempt), 5000);
  await prover.untilProofs(attempt);
  prover.endProofs();
  await a.untilEnded(attempt);
}

test("an attempt has its doors, its result and its core-seconds, and a later taker a line of its own", async () => {
  a.assign("cpu", 1, workOf(1), 5000);
  await prover.untilProofs(1);
  b.adopt("cpu", 7, workOf(1), 5000);
  await b.until(() => {
    const { phase } = b.report("cpu");
    return phase.kind === "proving" && phase.owners.length === 2;
  });
  prover.endProofs();
  await b.untilEnded(7);
  await b.until(() => b.report("cpu").held.length === 1);
  b.adopt("cpu", 8, workOf(1), 5000);
  await b.untilEnded(8);
  const { description } = b.report("cpu");
  if (description === null) throw new Error("the device has not described itself");
  const digest = inputDigest(workOf(1), description);
  const who = { door: "a", doors: ["a", "b"], device: "cpu", digest };
  expect(of("attempt")).toMatchObject([{ ...who, result: "proved", sent: 2 }]);
  expect(of("adopt")).toMatchObject([{ door: "b", device: "cpu", result: "proved" }]);
  expect(await count("assigned_total")).toBe(1);
  expect(await count("ended_total", { result: "proved" })).toBe(3);
  const coreSeconds = Number(of("attempt")[0]?.["coreSeconds"]);
  expect(await count("core_seconds_total")).toBe(coreSeconds);
  expect(coreSeconds).toBeGreaterThan(0);
});

test("the sums are the counters' after proofs, a kill, a fence, false work and an end", async () => {
  await proved(1);
  await proved(2);
  await a.untilPhase("cpu", "idle");
  const { lease } = a.report("cpu");
  a.assign("cpu", 3, workOf(3), 5000);
  await prover.untilProofs(3);
  a.send({ kind: "kill", device: "cpu", lease, attempt: 3, reason: "cancelled" });
  await a.until(() => a.report("cpu").lease > lease);
  await a.untilPhase("cpu", "idle");
  a.assign("cpu", 4, workOf(4), 1500);
  await a.untilPhase("cpu", "proving");
  await a.untilPhase("cpu", "idle");
  const wrong = { ...workOf(5), raws: { ...workOf(5).raws, signatures: new Uint8Array(63) } };
  a.assign("cpu", 5, wrong, 5000);
  await a.untilPhase("cpu", "proving");
  await a.untilPhase("cpu", "idle");
  a.assign("cpu", 6, workOf(6), 5000);
  await a.untilPhase("cpu", "proving");
  host.close();

  const results = of("attempt").map(({ result }) => result);
  expect(results).toEqual(["proved", "proved", "cancelled", "fence", "not_fetched", "closed"]);
  expect(await count("assigned_total")).toBe(results.length);
  const sent = of("attempt").reduce((sum, line) => sum + Number(line["sent"]), 0);
  expect(await count("ended_total", { result: "proved" })).toBe(sent);
  const coreSeconds = of("attempt").reduce((sum, line) => sum + Number(line["coreSeconds"]), 0);
  expect(await count("core_seconds_total")).toBeCloseTo(coreSeconds, 6);
});

test("a verdict and a door's command have a line each, a repeated command has none", async () => {
  const keys = blobOf(new Uint8Array(31));
  const message = { kind: "fold", message: workOf(1).message } as const;
  const asked = { kind: "verify", system: "", of: message, keys, proof: keys } as const;
  decodeVerdict(await b.request(asked));
  expect(of("verdict")).toMatchObject([{ door: "b", verdict: "unable" }]);
  expect(await count("verified_total", { verdict: "unable" })).toBe(1);
  const drain = { kind: "drain", isDrained: true } as const;
  a.send({ kind: "command", device: "cpu", number: 1, command: drain });
  a.send({ kind: "command", device: "cpu", number: 1, command: drain });
  await a.until(() => a.report("cpu").isDrained);
  expect(of("act")).toMatchObject([{ act: "drain", door: "a", device: "cpu" }]);
});
