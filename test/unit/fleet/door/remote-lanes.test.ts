/** What a door's dispatcher hears of lane hosts that come, prove, go, fail and come back. */
import { expect, test } from "vitest";
import { decodeWork } from "../../../../server/fleet/wire/codec.js";
import { inputDigest } from "../../../../server/work/input-digest.js";
import { foldedProof } from "../../../../server/prover/prover.js";
import { description, idleReport } from "../../../helpers/scripted-host.js";
import { DOOR_RUN, fleet, SYSTEM, workOf } from "../door.js";
import { foldOf } from "../../../../tools/harness/decoded-group.js";

const PROOF = new Uint8Array(100).fill(9);
const LARGE_PROOF = new Uint8Array(500 * 1024).fill(9);

test("a lane is added once its host's clock is known, and its state follows", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  host("h1").start();
  await run(150);
  expect(d1.of("h1.cpu")).toEqual([]);
  await run(150);
  expect(d1.of("h1.cpu").map(({ kind }) => kind)).toEqual(["added", "announce"]);
  expect(d1.last("h1.cpu")).toMatchObject({ sequence: 1, phase: { kind: "idle" }, lease: 1 });
});

test("an assignment crosses with its instants in the host's clock, early by little, and its fence 100 ms later", async () => {
  const { host, door, run, clock } = fleet();
  const d1 = door();
  const h1 = host("h1", 1_000_000).start();
  await run(300);
  const work = workOf(3);
  d1.assign("h1.cpu", 7, work);
  await run(1);
  const [assigned] = h1.ofKind("assign");
  expect(assigned).toMatchObject({
    door: "d1",
    run: DOOR_RUN,
    device: "cpu",
    lease: 1,
    attempt: 7,
  });
  const { fenceAtMs = 0, digest = "" } = assigned?.assignment ?? {};
  const trueFenceAtMs = clock.nowMs() - 1 + 6000 + 1_000_000;
  // The door ends what is past its own fence; the host does so only where the door has gone.
  expect(fenceAtMs).toBeLessThanOrEqual(trueFenceAtMs + 100);
  expect(fenceAtMs).toBeGreaterThan(trueFenceAtMs + 98);
  const { inline = new Uint8Array(0) } = assigned?.assignment.work ?? {};
  const { raws } = foldOf(decodeWork(inline, digest, description));
  expect(raws.validators).toHaveLength(3);
});

test("an assignment is sent again at most each 300 ms, and its bytes only once", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  const h1 = host("h1").start();
  await run(300);
  for (let at = 0; at < 7; at++) {
    d1.assign("h1.cpu", 1, workOf(3));
    await run(100);
  }
  const sent = h1.ofKind("assign");
  expect(sent.map(({ assignment }) => assignment.work.inline !== undefined)).toEqual([
    true,
    false,
    false,
  ]);
});

test("a host fetches the work of its own attempt only, and no more than it needs", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  const h1 = host("h1").start();
  const h2 = host("h2").start();
  await run(300);
  d1.assign("h1.cpu", 1, workOf(400, 2048));
  await run(1);
  const blob = h1.ofKind("assign")[0]?.assignment.work;
  expect(blob?.inline).toBeUndefined();
  const sha256 = blob?.sha256 ?? "";
  expect((await h1.fetch("d1", DOOR_RUN, sha256, 0)).length).toBe(512 * 1024);
  expect((await h2.fetch("d1", DOOR_RUN, sha256, 0)).length).toBe(0);
  let chunks = 1;
  while ((await h1.fetch("d1", DOOR_RUN, sha256, 0)).length > 0) chunks++;
  expect(chunks).toBeLessThan(10);
});

test("a proof is fetched and verified by another host, and told before the lane is free", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  const h1 = host("h1").start();
  const h2 = host("h2").start();
  await run(300);
  const work = workOf(3);
  d1.assign("h1.cpu", 1, work);
  await run(1);
  const [assigned] = h1.ofKind("assign");
  if (assigned === undefined) throw new Error("nothing was assigned");
  h1.end(assigned, 1, h1.proved(LARGE_PROOF, false));
  h1.announce("cpu", { lease: 2 });
  await run(100);
  expect(d1.events("h1.cpu")).toEqual(["added", "ended"]);
  expect(d1.of("h1.cpu").at(-1)).toMatchObject({ kind: "announce", lease: 2 });
  expect(d1.results("h1.cpu")[0]).toMatchObject({
    attempt: 1,
    result: {
      kind: "proved",
      validators: [10, 11, 12],
      verifiedBy: "other_host",
    },
  });
  const { result } = d1.results("h1.cpu")[0] ?? {};
  expect(result?.kind === "proved" && Buffer.compare(result.proof, LARGE_PROOF)).toBe(0);
  expect(h1.ofKind("fetch")).toHaveLength(1);
  expect(h2.ofKind("verify")).toHaveLength(1);
  expect(d1.memory.heldBytes).toBe(0);
});

test("a killed host's lane is gone within 400 ms, and its attempts with it", async () => {
  const { host, door, run, clock } = fleet();
  const d1 = door();
  const h1 = host("h1").start();
  await run(300);
  d1.assign("h1.cpu", 1, workOf(3));
  await run(50);
  const killedAtMs = clock.nowMs();
  await h1.kill();
  await run(1000);
  const gone = d1.of("h1.cpu").at(-1);
  expect(gone).toMatchObject({ kind: "gone" });
  expect((gone?.atMs ?? Infinity) - killedAtMs).toBeLessThanOrEqual(400);
  expect(d1.memory.heldBytes).toBe(0);
  expect(await d1.count("fleet_gone_total", { cause: "vanished" })).toBe(1);
  expect(await d1.count("fleet_attempts_gone_total")).toBe(1);
  expect(d1.lanes.whyMissing()).toBe("no lane host is heard on cell test");
});

test("a frozen host's lane is gone after a second, and joins as a new one when it is back", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  const h1 = host("h1").start();
  await run(300);
  d1.assign("h1.cpu", 1, workOf(3));
  await run(1);
  h1.fallSilent();
  h1.engine.cut();
  await run(2500);
  expect(d1.events("h1.cpu")).toEqual(["added", "gone"]);
  h1.engine.restore();
  h1.start();
  await run(600);
  expect(d1.events("h1.cpu")).toEqual(["added", "gone", "added"]);
  h1.end({ door: "d1", run: DOOR_RUN }, 1, h1.proved(PROOF));
  await run(10);
  expect(d1.results("h1.cpu")).toEqual([]);
});

test("a host that restarts has new lanes, and no result of its earlier run is taken", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  const h1 = host("h1").start();
  await run(300);
  d1.assign("h1.cpu", 1, workOf(3));
  await run(1);
  const { run: earlier } = h1;
  await h1.kill();
  h1.restart();
  await run(400);
  expect(d1.events("h1.cpu")).toEqual(["added", "gone", "added"]);
  h1.run = earlier;
  h1.end({ door: "d1", run: DOOR_RUN }, 1, h1.proved(PROOF));
  await run(10);
  expect(d1.results("h1.cpu")).toEqual([]);
});

test("a host that says bye is gone at once", async () => {
  const { host, door, run, clock } = fleet();
  const d1 = door();
  const h1 = host("h1").start();
  await run(300);
  h1.tell({ kind: "bye", run: h1.run });
  h1.fallSilent();
  await run(1);
  expect(d1.of("h1.cpu").at(-1)).toMatchObject({ kind: "gone", why: "lane host h1 has ended" });
  expect(clock.nowMs()).toBe(301);
});

test("while the engine is down lanes cannot be reached, and no host is blamed", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  const h1 = host("h1").start();
  await run(300);
  d1.assign("h1.cpu", 1, workOf(3));
  await run(1);
  d1.engine.cut("connection refused");
  await run(5000);
  expect(d1.events("h1.cpu")).toEqual(["added"]);
  expect(d1.last("h1.cpu")).toMatchObject({ lease: 1, phase: { kind: "failed" } });
  expect(d1.lanes.whyMissing()).toBe("the engine is down: connection refused");
  expect(await d1.count("fleet_engine_up")).toBe(0);
  const owners = [{ id: "d1", run: DOOR_RUN, attempt: 1 }];
  const digest = inputDigest(workOf(3), description);
  h1.announce("cpu", { phase: { kind: "proving", digest, owners, fenceInMs: 900, proof: null } });
  d1.engine.restore();
  await run(600);
  expect(d1.events("h1.cpu")).toEqual(["added"]);
  expect(d1.last("h1.cpu")).toMatchObject({ phase: { kind: "proving", attempt: 1 } });
  h1.end({ door: "d1", run: DOOR_RUN }, 1, h1.proved(PROOF));
  await run(10);
  expect(d1.results("h1.cpu")).toHaveLength(1);
});

test("lanes stay in use while a lost server of the engine is replaced", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  host("h1").start();
  await run(300);
  d1.engine.cut("its server was lost");
  await run(250);
  d1.engine.restore();
  await run(1000);
  const kinds = d1
    .of("h1.cpu")
    .flatMap((each) => (each.kind === "announce" ? [each.phase.kind] : []));
  expect(new Set(kinds)).toEqual(new Set(["idle"]));
});

test("a door whose loop stood still blames no host", async () => {
  const { host, door, run, clock } = fleet();
  const d1 = door();
  host("h1").start();
  await run(300);
  clock.standStill(3000);
  await run(1000);
  expect(d1.events("h1.cpu")).toEqual(["added"]);
});

test("beats that waited while a door stood still make no instant early", async () => {
  const { host, door, run, clock } = fleet();
  const d1 = door();
  const h1 = host("h1").start();
  await run(300);
  const fromMs = clock.nowMs();
  clock.standStill(3000);
  // What the host has sent meanwhile is read before the door's timers fire.
  for (let atMs = 100; atMs < 2500; atMs += 100) {
    h1.tell({ kind: "beat", run: h1.run, nowMs: fromMs + atMs });
  }
  await new Promise((resolve) => setImmediate(resolve));
  d1.assign("h1.cpu", 7, workOf(3));
  await run(1);
  const [assigned] = h1.ofKind("assign");
  const earlyMs = fromMs + 3750 - (assigned?.assignment.deadlineAtMs ?? 0);
  expect(earlyMs).toBeGreaterThanOrEqual(0);
  expect(earlyMs).toBeLessThan(4);
});

test("a killed attempt frees its work, and its late result is no fault", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  const h1 = host("h1").start();
  await run(300);
  d1.assign("h1.cpu", 1, workOf(3));
  await run(1);
  d1.links.get("h1.cpu")?.send({ kind: "kill", lease: 1, attempt: 1, reason: "fence" });
  expect(d1.memory.heldBytes).toBe(0);
  await run(1);
  expect(h1.ofKind("kill")).toMatchObject([{ attempt: 1, reason: "fence", lease: 1 }]);
  h1.end({ door: "d1", run: DOOR_RUN }, 1, h1.proved(PROOF));
  await run(10);
  expect(d1.results("h1.cpu")).toEqual([]);
  expect(await d1.count("fleet_faults_total")).toBe(0);
});

test("what another door proves is adopted, running and held, and its result is taken", async () => {
  const { host, door, run, clock } = fleet();
  const d1 = door();
  const h1 = host("h1").start();
  await run(300);
  const work = workOf(3);
  const digest = inputDigest(work, description);
  const owners = [{ id: "d2", run: "00000000000000ee", attempt: 4 }];
  h1.announce("cpu", { phase: { kind: "proving", digest, owners, fenceInMs: 3000, proof: null } });
  await run(1);
  expect(d1.last("h1.cpu")).toMatchObject({
    phase: { kind: "proving", attempt: null },
    adoptable: [{ digest, isRunning: true }],
  });
  const fenceAtMs = clock.nowMs() + 3000;
  d1.links.get("h1.cpu")?.send({ kind: "adopt", attempt: 9, digest, work, fenceAtMs });
  await run(1);
  expect(h1.ofKind("adopt")).toMatchObject([{ attempt: 9, digest }]);
  h1.announce("cpu", { lease: 2, phase: { kind: "idle" }, held: [{ digest, fenceInMs: 2900 }] });
  await run(1);
  h1.end({ door: "d1", run: DOOR_RUN }, 9, h1.proved(PROOF));
  await run(10);
  expect(d1.results("h1.cpu")).toMatchObject([
    { attempt: 9, result: { kind: "proved", validators: [10, 11, 12] } },
  ]);
});

const other = { ...description, revision: "2" };

test("lanes of several proof systems are used, each as it describes itself, in any order", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  const moving = host("h1").start({ cpu: { description: other }, gpu: {} });
  host("h2").start();
  await run(2000);
  expect(["h1.cpu", "h1.gpu", "h2.cpu"].map((id) => d1.events(id))).toEqual([
    ["added"],
    ["added"],
    ["added"],
  ]);
  expect(d1.last("h1.cpu")?.description?.revision).toBe("2");
  expect(d1.last("h2.cpu")?.description?.revision).toBe("1");
  moving.announce("cpu", { description });
  await run(1);
  expect(d1.last("h1.cpu")?.description?.revision).toBe("1");
});

test("a host with devices of many proof systems is used with four of them, and is named", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  const systems = ["a", "b", "c", "d", "e"];
  const devices = systems.map((revision) => [revision, { description: { ...other, revision } }]);
  host("h1").start(Object.fromEntries(devices));
  await run(300);
  expect(systems.filter((id) => d1.events(`h1.${id}`).length > 0)).toEqual(["a", "b", "c", "d"]);
  const why = "its devices have more than 4 proof systems";
  expect(d1.lanes.views()).toMatchObject([{ id: "h1", state: "left_out", cause: why }]);
  expect(d1.lanes.whyMissing()).toBe(`lane host h1 is left out: ${why}`);
  expect(await d1.count("fleet_hosts", { state: "left_out" })).toBe(1);
});

test("VerifyAggregate is answered by a lane host when there is no device", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  expect(d1.lanes.verifier(SYSTEM)).toBeUndefined();
  const h1 = host("h1").start();
  h1.verdict = () => ({ kind: "verdict", isValid: false });
  await run(2000);
  const ready = d1.lanes.verifier(SYSTEM);
  expect(d1.lanes.verifier("scheme 2")).toBeUndefined();
  const message = { root: new Uint8Array(32), slot: 1 };
  const claim = { keys: new Uint8Array(32), proof: PROOF };
  expect(await ready?.verifier.verify(foldedProof(message, claim))).toBe(false);
  expect(ready?.description).toEqual(description);
  expect(d1.memory.heldBytes).toBe(0);
});

test("a closed door holds nothing and says nothing more", async () => {
  const { host, door, run, clock } = fleet();
  const d1 = door();
  const h1 = host("h1").start();
  await run(300);
  d1.assign("h1.cpu", 1, workOf(3));
  await run(1);
  d1.lanes.close();
  await d1.engine.close();
  expect(d1.memory.heldBytes).toBe(0);
  const { length } = d1.of("h1.cpu");
  await run(2000);
  expect(d1.of("h1.cpu")).toHaveLength(length);
  await h1.kill();
  await run(1000);
  expect(clock.pending).toBe(0);
});

test("a lane of which the host says more than one attempt's state is read by its lease", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  const h1 = host("h1").start();
  await run(300);
  d1.assign("h1.cpu", 1, workOf(3));
  await run(1);
  // Another door was first: the work is freed.
  const owners = [{ id: "d2", run: "00000000000000ee", attempt: 4 }];
  const phase = {
    kind: "proving",
    digest: "cd".repeat(32),
    owners,
    fenceInMs: 9,
    proof: null,
  } as const;
  h1.announce("cpu", { ...idleReport, phase });
  await run(1);
  expect(d1.memory.heldBytes).toBe(0);
  expect(h1.ofKind("kill")).toEqual([]);
});
