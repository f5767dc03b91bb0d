/** A lane host over the engine in memory, with the fake prover and doors that a test drives. */
import { createHash } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { KeyClaim } from "../../server/prover/prover.js";
import { concat } from "../../server/bytes.js";
import { systemClock } from "../../server/clock.js";
import type { MemoryEngine } from "../../server/engine/memory-engine.js";
import { MemoryBroker } from "../../server/engine/memory-engine.js";
import { blobOf } from "../../server/fleet/wire/blobs.js";
import { decodeChunk, decodeFromHost, decodeVerdict } from "../../server/fleet/wire/codec.js";
import { createHostMetrics } from "../../server/fleet/host/host-metrics.js";
import { LaneHost } from "../../server/fleet/host/lane-host.js";
import { subjects } from "../../server/fleet/wire/subjects.js";
import { LocalLanes } from "../../server/lane/local-lanes.js";
import { createLog } from "../../server/log/log.js";
import { createMetrics } from "../../server/metrics/metrics.js";
import { limits } from "../../server/limits.js";
import { claimsOf } from "../../server/work/group.js";
import { fakeMerge } from "../../tools/harness/fake-merge.js";
import { metricValue } from "../helpers/metric-value.js";
import { ScriptedDoor, workOf } from "../unit/fleet/scripted-door.js";
import { GatedProver } from "./schedule/gated-prover.js";

const FAULTS = "lean_aggregator_server_lane_host_faults_total";
const nowMs = () => systemClock.nowMs();
let prover: GatedProver;
let broker: MemoryBroker;
let engine: MemoryEngine;
let lanes: LocalLanes;
let host: LaneHost;
let metrics: ReturnType<typeof createMetrics>;
let a: ScriptedDoor;
let b: ScriptedDoor;

beforeEach(async () => {
  prover = new GatedProver();
  broker = new MemoryBroker({ clock: systemClock });
  metrics = createMetrics(["cpu"]);
  const log = createLog("silent");
  const modules = { clock: systemClock, log };
  lanes = new LocalLanes(
    [{ id: "cpu", startProver: prover.start }],
    { standbyBytesMax: Infinity, residentBytesMax: 1e9, refreshShare: 0 },
    { ...modules, metrics, post: (message, receive) => queueMicrotask(() => receive(message)) },
  );
  const peer = { id: "h1", run: "f".repeat(16) };
  engine = broker.connect("h1");
  host = new LaneHost(
    { cell: "main", host: peer },
    { ...modules, metrics: createHostMetrics(metrics.registry), engine, lanes },
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

const fetchProof = async (door: ScriptedDoor, sha256: string) =>
  decodeChunk(await door.request({ kind: "fetch", sha256, offset: 0 }));

test("a door's work is proved, and each owner gets the result; the proof is there until its fence", async () => {
  a.assign("cpu", 1, workOf(1), 5000);
  await prover.untilProofs(1);
  b.adopt("cpu", 7, workOf(1), 5000);
  await b.until(() => {
    const { phase } = b.report("cpu");
    return phase.kind === "proving" && phase.owners.length === 2;
  });
  prover.endProofs();
  const { result } = await a.untilEnded(1);
  expect((await b.untilEnded(7)).result).toEqual(result);
  if (result.kind !== "proved") throw new Error(`it is ${result.kind}`);
  const bytes = await fetchProof(b, result.proof.sha256);
  expect(createHash("sha256").update(bytes).digest("hex")).toBe(result.proof.sha256);
  await a.until(() => a.report("cpu").held.length === 1);
  b.adopt("cpu", 8, workOf(1), 5000);
  expect((await b.untilEnded(8)).result).toEqual(result);
});

test("a proof is fetched by the doors that were sent it, four times by each, and by no other", async () => {
  a.assign("cpu", 1, workOf(1), 5000);
  await prover.untilProofs(1);
  prover.endProofs();
  const { result } = await a.untilEnded(1);
  if (result.kind !== "proved") throw new Error(`it is ${result.kind}`);
  const { sha256, size } = result.proof;
  const fetches = async (door: ScriptedDoor) => {
    const lengths = [];
    for (let nth = 0; nth < 5; nth++) lengths.push((await fetchProof(door, sha256)).length);
    return lengths;
  };
  expect(await fetches(b)).toEqual([0, 0, 0, 0, 0]);
  expect(await fetches(a)).toEqual([size, size, size, size, 0]);
  b.adopt("cpu", 2, workOf(1), 5000);
  await b.untilEnded(2);
  expect(await fetches(b)).toEqual([size, size, size, size, 0]);
});

test("work that does not come along is fetched, and work that is another is not proved", async () => {
  a.assign("cpu", 1, workOf(1), 5000, false);
  await prover.untilProofs(1);
  prover.endProofs();
  await a.untilEnded(1);
  await a.untilPhase("cpu", "idle");
  const { lease } = a.report("cpu");
  const wrong = { ...workOf(2), raws: { ...workOf(2).raws, signatures: new Uint8Array(63) } };
  a.assign("cpu", 2, wrong, 5000);
  await a.until(() => a.report("cpu").lease > lease);
  expect(a.ended).toHaveLength(1);
  const fault = { fault: "garbage" };
  expect(await metricValue(metrics.registry, FAULTS, fault)).toBe(1);
});

test("the host kills a proof at its fence while the engine is gone", async () => {
  a.assign("cpu", 1, workOf(1), 1500);
  await prover.untilProofs(1);
  engine.cut();
  await expect.poll(() => lanes.lanes[0]?.phase.kind).not.toBe("proving");
  engine.restore();
  await a.until(() => a.report("cpu").lease === 2);
  expect(a.ended).toEqual([]);
});

test("beats come ten times a second, and a ping is answered with one", async () => {
  const beats = () => a.heard.filter(({ kind }) => kind === "beat").length;
  const before = beats();
  await a.until(() => beats() >= before + 3);
  const pong = decodeFromHost(await a.request({ kind: "ping" }));
  expect(pong).toMatchObject({ kind: "beat", run: a.hostRun });
});

test("a message for an earlier run of the host is ignored", async () => {
  a.hostRun = "0".repeat(16);
  const { lease } = a.report("cpu");
  a.assign("cpu", 1, workOf(1), 5000);
  a.hostRun = "f".repeat(16);
  decodeFromHost(await a.request({ kind: "ping" }));
  expect(a.report("cpu").lease).toBe(lease);
  expect(prover.proofs).toBe(0);
});

test("proofs of other hosts are verified by a standby, or the host says why not", async () => {
  a.assign("cpu", 1, workOf(1), 5000);
  await prover.untilProofs(1);
  prover.endProofs();
  const { result } = await a.untilEnded(1);
  if (result.kind !== "proved") throw new Error(`it is ${result.kind}`);
  const { message, raws } = workOf(1);
  const proof = blobOf(await fetchProof(a, result.proof.sha256));
  const of = { kind: "fold", message } as const;
  const ask = async (keys: Uint8Array) =>
    decodeVerdict(await b.request({ kind: "verify", system: "", of, keys: blobOf(keys), proof }));
  expect(await ask(raws.keys)).toEqual({ kind: "verdict", isValid: true });
  expect(await ask(workOf(2).raws.keys)).toEqual({ kind: "verdict", isValid: false });
  expect(await ask(new Uint8Array(31))).toMatchObject({ kind: "unable" });
});

test("a merge is proved for each owner, and verified by its claims in their order", async () => {
  const merge = await fakeMerge([
    { from: "proof", validators: 2 },
    { from: "raws", validators: 3, first: 2 },
  ]);
  a.assign("cpu", 1, merge, 5000);
  await prover.untilProofs(1);
  await a.until(() => {
    const { phase } = a.report("cpu");
    return phase.kind === "proving" && phase.proof?.shape.messages === 2;
  });
  b.adopt("cpu", 7, merge, 5000);
  await b.until(() => {
    const { phase } = b.report("cpu");
    return phase.kind === "proving" && phase.owners.length === 2;
  });
  prover.endProofs();
  const { result } = await a.untilEnded(1);
  expect((await b.untilEnded(7)).result).toEqual(result);
  if (result.kind !== "proved") throw new Error(`it is ${result.kind}`);
  expect(result.leftOut).toEqual([]);

  const proof = blobOf(await fetchProof(a, result.proof.sha256));
  const ask = async (claims: readonly KeyClaim[], changedBytes = 0) => {
    const keys = blobOf(concat(claims.map((claim) => claim.keys)));
    const each = claims.map(({ root, slot, keys: own }) => {
      return { message: { root, slot }, keyBytes: own.length + changedBytes };
    });
    const of = { kind: "merge", claims: each } as const;
    return decodeVerdict(await b.request({ kind: "verify", system: "", of, keys, proof }));
  };
  const claims = claimsOf(merge);
  expect(await ask(claims)).toEqual({ kind: "verdict", isValid: true });
  expect(await ask([...claims].reverse())).toEqual({ kind: "verdict", isValid: false });
  expect(await ask(claims.slice(1))).toEqual({ kind: "verdict", isValid: false });
  expect(await ask(claims, -1)).toMatchObject({ kind: "unable" });
  expect(await ask(claims, 32)).toEqual({
    kind: "unable",
    why: "there are 160 bytes of keys, the claims have 224",
  });
});

test("a merge with bad components is rejected, and names each by its position", async () => {
  const merge = await fakeMerge([
    { from: "raws", validators: 2 },
    { from: "proof", validators: 2 },
    { from: "raws", validators: 1 },
  ]);
  for (const [at, { from }] of merge.components.entries()) {
    if (at > 0) (from.kind === "raws" ? from.raws.signatures : from.child.proof).fill(0);
  }
  a.assign("cpu", 1, merge, 5000);
  const { result } = await a.untilEnded(1);
  expect(result).toMatchObject({
    kind: "rejected",
    leftOut: [
      { reason: "bad_child", input: { kind: "component", at: 1 } },
      { reason: "wrong_leaf", input: { kind: "component", at: 2 } },
    ],
  });
  expect(prover.proofs).toBe(0);
});

test("a door whose proofs take long to fetch leaves another one a verification", async () => {
  const of = { kind: "fold", message: workOf(1).message } as const;
  const named = (bytes: Uint8Array) => ({ ...blobOf(bytes), inline: undefined });
  const question = (bytes: Uint8Array) => {
    return { kind: "verify", system: "", of, keys: named(bytes), proof: named(bytes) } as const;
  };
  const ask = async (door: ScriptedDoor, keys: Uint8Array) =>
    decodeVerdict(await door.request(question(keys)));
  const { keys } = workOf(1).raws;
  const asked = await Promise.all(
    [...Array(6).keys()].map(() => ask(a, keys)).concat(ask(b, keys)),
  );
  const busy = asked.map((verdict) => verdict.kind === "unable" && verdict.isBusy === true);
  expect(busy).toEqual([false, false, false, true, true, true, false]);
});

test("garbage and floods of a door are counted, and cost other doors nothing", async () => {
  const subject = subjects("main").toHost("h1", "b");
  for (let at = 0; at < 3 * limits.fleetMessagesPerSecond; at++) {
    b.engine.publish(subject, new Uint8Array([at % 256, 255, 255]));
  }
  decodeFromHost(await a.request({ kind: "ping" }));
  const faults = (fault: string) => metricValue(metrics.registry, FAULTS, { fault });
  expect(await faults("garbage")).toBeGreaterThanOrEqual(limits.fleetMessagesPerSecond);
  expect(await faults("flood")).toBeGreaterThan(0);
});

test("a host that ends drains its lanes, lets proofs end, and says goodbye", async () => {
  a.assign("cpu", 1, workOf(1), 5000);
  await prover.untilProofs(1);
  const drained = host.drain(4000);
  await a.until(() => a.report("cpu").isDrained);
  expect(host.whyNoLane()).toBe("draining");
  prover.endProofs();
  await drained;
  await a.untilEnded(1);
  host.close();
  await a.until(() => a.heard.some(({ kind }) => kind === "bye"));
});
