/** What a lane host that lies, floods or dies at the wrong moment can do to a door: waste its time. */
import { expect, test } from "vitest";
import { limits } from "../../../server/limits.js";
import { inputDigest } from "../../../server/work/input-digest.js";
import { description, idleReport } from "../../helpers/scripted-host.js";
import { DOOR_RUN, fleet, SYSTEM, workOf } from "./door.js";

const PROOF = new Uint8Array(100).fill(9);
const d1 = { door: "d1", run: DOOR_RUN };
const breaks = "lane host breaks the rules";

test("garbage is counted, and logged once a minute", async () => {
  const { host, door, run } = fleet();
  const d = door();
  const h1 = host("h1").start();
  await run(300);
  for (let second = 0; second < 90; second++) {
    h1.tellBytes(new Uint8Array([255, 1, 2, second]));
    await run(1000);
  }
  expect(await d.count("fleet_faults_total", { fault: "garbage" })).toBe(90);
  const logged = d.logged.filter(({ text }) => text === breaks);
  expect(logged.map(({ line }) => line)).toMatchObject([
    { host: "h1", garbage: 1 },
    { host: "h1", garbage: 60 },
  ]);
  expect(d.events("h1.cpu")).toEqual(["added"]);
});

test("of a flood only the host's share is read, and other hosts are heard", async () => {
  const { host, door, run } = fleet();
  const d = door();
  const h1 = host("h1").start();
  host("h2").start();
  await run(300);
  const { length } = d.of("h1.cpu");
  for (let at = 0; at < 3 * limits.fleetMessagesPerSecond; at++) h1.announce("cpu");
  await run(900);
  expect(d.of("h1.cpu").length - length).toBeLessThanOrEqual(2 * limits.fleetMessagesPerSecond);
  expect(await d.count("fleet_faults_total", { fault: "flood" })).toBeGreaterThan(0);
  expect(d.events("h2.cpu")).toEqual(["added"]);
});

test("a host has no more devices than a service may", async () => {
  const { host, door, run } = fleet();
  const d = door();
  const names = Array.from({ length: limits.devicesMax + 5 }, (_, at) => `gpu${at}`);
  host("h1").start(Object.fromEntries(names.map((name) => [name, {}])));
  await run(400);
  expect(d.links.size).toBe(limits.devicesMax);
  expect(await d.count("fleet_faults_total", { fault: "device" })).toBeGreaterThanOrEqual(5);
});

test("no result is taken of an attempt that the host was not given", async () => {
  const { host, door, run } = fleet();
  const d = door();
  const [h1, h2] = [host("h1").start(), host("h2").start()];
  await run(300);
  d.assign("h1.cpu", 1, workOf(2));
  await run(1);
  h2.end(d1, 1, h2.proved(PROOF));
  h1.end(d1, 2, h1.proved(PROOF));
  h1.end({ ...d1, run: "00000000000000ab" }, 1, h1.proved(PROOF));
  await run(10);
  expect(d.results("h1.cpu")).toEqual([]);
  expect(d.results("h2.cpu")).toEqual([]);
  expect(await d.count("fleet_faults_total", { fault: "unassigned" })).toBe(2);
});

test("a lane that drops what it is assigned rests, longer each time, until it gives a result", async () => {
  const { host, door, run, clock } = fleet();
  const d = door();
  const h1 = host("h1").start();
  await run(300);
  let attempt = 0;
  /** Assigns whenever the lane is idle; the lane drops it. Returns how often in so many ms. */
  const drops = async (forMs: number) => {
    const before = attempt;
    for (const endMs = clock.nowMs() + forMs; clock.nowMs() < endMs;) {
      const { lease = 0, phase } = d.last("h1.cpu") ?? {};
      if (phase?.kind === "idle") {
        d.assign("h1.cpu", ++attempt, workOf(2), lease);
        await run(1);
        h1.announce("cpu", { lease: lease + 1 });
      }
      await run(10);
    }
    return attempt - before;
  };
  expect(await drops(1000)).toBeLessThanOrEqual(4);
  expect(await drops(10_000)).toBeLessThanOrEqual(5);
  expect(d.last("h1.cpu")?.phase).toMatchObject({
    kind: "failed",
    cause: expect.stringContaining("attempts in a row without a result"),
  });
  expect(await d.count("fleet_faults_total", { fault: "dropped" })).toBeGreaterThan(3);
  await run(11_000);
  const { lease = 0 } = d.last("h1.cpu") ?? {};
  d.assign("h1.cpu", ++attempt, workOf(2), lease);
  await run(1);
  h1.end(d1, attempt, h1.proved(PROOF));
  h1.announce("cpu", { lease: lease + 1 });
  await run(10);
  expect(d.last("h1.cpu")?.phase.kind).toBe("idle");
  expect(await drops(20)).toBeGreaterThan(0);
  await run(2000);
  expect(d.last("h1.cpu")?.phase.kind).toBe("idle");
});

test("an assignment that an idle lane ignores for a second ends as a death, and is tried elsewhere", async () => {
  const { host, door, run } = fleet();
  const d = door();
  const h1 = host("h1").start({ cpu: {}, gpu: {} });
  await run(300);
  expect(d.lanes.verifier(SYSTEM)).toBeDefined();
  d.assign("h1.cpu", 1, workOf(2));
  await run(900);
  expect(d.results("h1.cpu")).toEqual([]);
  await run(700);
  expect(d.results("h1.cpu"), "it was sent once: it may be lost").toEqual([]);
  d.assign("h1.cpu", 1, workOf(2));
  await run(400);
  d.assign("h1.cpu", 1, workOf(2));
  await run(200);
  expect(d.results("h1.cpu"), "it may be on its way").toEqual([]);
  await run(700);
  expect(d.results("h1.cpu")[0]?.result).toEqual({
    kind: "failed",
    reason: "prover_died",
    detail: "device h1.cpu ignored the attempt for 1 s",
    deaths: 1,
  });
  expect(h1.ofKind("kill")).toMatchObject([{ attempt: 1, lease: 1 }]);
  expect(d.memory.heldBytes).toBe(0);
  expect(await d.count("fleet_faults_total", { fault: "dropped" })).toBe(1);
  // No lane of the host takes the retry, and it verifies nothing.
  expect(d.lanes.verifier(SYSTEM)).toBeUndefined();
  expect(d.last("h1.gpu")?.phase.kind).toBe("failed");
  await run(11_000);
  expect(d.last("h1.gpu")?.phase.kind).toBe("idle");
});

test("a result that comes twice is taken once", async () => {
  const { host, door, run } = fleet();
  const d = door();
  const h1 = host("h1").start();
  await run(300);
  d.assign("h1.cpu", 1, workOf(2));
  await run(1);
  h1.end(d1, 1, h1.proved(PROOF));
  h1.end(d1, 1, h1.proved(PROOF));
  await run(10);
  h1.end(d1, 1, h1.proved(PROOF));
  await run(10);
  expect(d.results("h1.cpu")).toHaveLength(1);
  expect(await d.count("fleet_faults_total")).toBe(0);
});

test("an invalid proof ends its attempt, and the third in ten minutes leaves its host out", async () => {
  const { host, door, run } = fleet();
  const d = door();
  const h1 = host("h1").start();
  const h2 = host("h2").start();
  h2.verdict = () => ({ kind: "verdict", isValid: false });
  await run(300);
  for (let attempt = 1; attempt <= 3; attempt++) {
    d.assign("h1.cpu", attempt, workOf(2), attempt);
    await run(1);
    h1.end(d1, attempt, h1.proved(PROOF));
    h1.announce("cpu", { lease: attempt + 1 });
    await run(600);
  }
  expect(d.results("h1.cpu")[0]?.result).toEqual({
    kind: "failed",
    reason: "prover_error",
    detail: "the proof of device h1.cpu is invalid, says h2",
    deaths: 0,
    isInvalidProof: true,
  });
  expect(d.events("h1.cpu")).toEqual(["added", "ended", "ended", "ended", "gone"]);
  const leftOut = "3 of its proofs or verdicts were wrong in ten minutes";
  expect(d.lanes.views()[0]).toMatchObject({
    ...{ id: "h1", state: "distrusted", cause: leftOut, deviceIds: [] },
  });
  await run(11 * 60_000);
  expect(d.events("h1.cpu").at(-1)).toBe("added");
});

test("what a host that is left out still proves for this door is killed there", async () => {
  const { host, door, run } = fleet();
  const d = door();
  const h1 = host("h1").start({ cpu: {}, gpu: {} });
  host("h2").start().verdict = () => ({ kind: "verdict", isValid: false });
  await run(300);
  d.assign("h1.gpu", 9, workOf(3));
  await run(1);
  const owners = [{ id: "d1", run: DOOR_RUN, attempt: 9 }];
  const digest = inputDigest(workOf(3), description);
  h1.announce("gpu", { phase: { kind: "proving", digest, owners, fenceInMs: 5000, proof: null } });
  for (let attempt = 1; attempt <= 3; attempt++) {
    d.assign("h1.cpu", attempt, workOf(2), attempt);
    await run(1);
    expect(h1.ofKind("kill")).toEqual([]);
    h1.end(d1, attempt, h1.proved(PROOF));
    h1.announce("cpu", { lease: attempt + 1 });
    await run(10);
  }
  await run(600);
  expect(d.events("h1.gpu")).toEqual(["added", "gone"]);
  const [kill] = h1.ofKind("kill");
  expect(kill).toMatchObject({ device: "gpu", lease: 1, attempt: 9, reason: "cancelled" });
});

test("a host that calls a good proof invalid is contradicted by the next, and counted", async () => {
  const { host, door, run } = fleet();
  const d = door();
  const h1 = host("h1").start();
  await run(10);
  host("h2").start();
  await run(10);
  const liar = host("h3").start();
  liar.verdict = () => ({ kind: "verdict", isValid: false });
  await run(300);
  d.assign("h1.cpu", 1, workOf(2));
  await run(1);
  // The liar is asked first: it was heard last.
  liar.announce("cpu");
  await run(1);
  h1.end(d1, 1, h1.proved(PROOF));
  await run(10);
  expect(d.results("h1.cpu")[0]?.result).toMatchObject({ verifiedBy: "other_host" });
  expect(await d.count("fleet_faults_total", { fault: "false_verdict" })).toBe(1);
  expect(await d.count("fleet_faults_total", { fault: "invalid_proof" })).toBe(0);
});

test("a verifier that dies, hangs or cannot is followed by the next", async () => {
  const { host, door, run } = fleet();
  const d = door();
  const h1 = host("h1").start();
  const [able, unable] = [host("h2").start(), host("h3").start()];
  const [hanging, dying] = [host("h4").start(), host("h5").start()];
  await run(300);
  for (const each of [able, unable, hanging, dying]) {
    each.announce("cpu");
    await run(1);
  }
  unable.verdict = () => ({ kind: "unable", why: "its prover is being replaced" });
  hanging.verdict = () => undefined;
  dying.verdict = () => void dying.kill();
  d.assign("h1.cpu", 1, workOf(2));
  await run(1);
  h1.end(d1, 1, h1.proved(PROOF));
  await run(3000);
  expect(d.results("h1.cpu")[0]?.result).toMatchObject({ verifiedBy: "other_host" });
  expect(able.ofKind("verify")).toHaveLength(1);
  expect(d.memory.heldBytes).toBe(0);
});

test("when no verifier answers, the proof is delivered in bounded time, and says so", async () => {
  const { host, door, run } = fleet();
  const d = door();
  const h1 = host("h1").start();
  for (const id of ["h2", "h3", "h4", "h5"]) host(id).start().verdict = () => undefined;
  await run(300);
  d.assign("h1.cpu", 1, workOf(2));
  await run(1);
  h1.end(d1, 1, h1.proved(PROOF));
  await run(2900);
  expect(d.results("h1.cpu")).toEqual([]);
  await run(200);
  expect(d.results("h1.cpu")[0]?.result).toMatchObject({ verifiedBy: "same_host" });
});

test("a proof whose bytes are not those of its name is refused", async () => {
  const { host, door, run } = fleet();
  const d = door();
  const h1 = host("h1").start();
  await run(300);
  d.assign("h1.cpu", 1, workOf(2));
  await run(1);
  const result = h1.proved(PROOF, false);
  if (result.kind !== "proved") throw new Error("no proof");
  h1.blobs.set(result.proof.sha256, new Uint8Array(100).fill(8));
  h1.end(d1, 1, result);
  await run(10);
  expect(d.results("h1.cpu")[0]?.result).toMatchObject({ kind: "failed", reason: "prover_error" });
  expect(await d.count("fleet_faults_total", { fault: "garbage" })).toBe(1);
});

test("a host that vanishes before its proof is fetched has died with it", async () => {
  const { host, door, run } = fleet();
  const d = door();
  const h1 = host("h1").start();
  await run(300);
  d.assign("h1.cpu", 1, workOf(2));
  await run(1);
  h1.end(d1, 1, h1.proved(PROOF, false));
  await h1.kill();
  await run(1000);
  const { length } = d.results("h1.cpu");
  expect(length).toBeLessThanOrEqual(1);
  expect(d.events("h1.cpu").at(-1)).toBe("gone");
});

test("a host that claims two deaths of one attempt counts as one, so that no input is set aside", async () => {
  const { host, door, run } = fleet();
  const d = door();
  const h1 = host("h1").start();
  await run(300);
  d.assign("h1.cpu", 1, workOf(2));
  await run(1);
  h1.end(d1, 1, { kind: "failed", reason: "prover_died", detail: "out of memory", deaths: 2 });
  await run(10);
  expect(d.results("h1.cpu")[0]?.result).toEqual({
    kind: "failed",
    reason: "prover_died",
    detail: "device h1.cpu: out of memory",
    deaths: 1,
  });
});

test("a host of another version is left out and named", async () => {
  const { host, door, run } = fleet();
  const d = door();
  host("h1").start();
  const h2 = host("h2");
  h2.tellVersion(9);
  await run(600);
  expect([...d.links.keys()]).toEqual(["h1.cpu"]);
  expect(d.lanes.whyMissing()).toBe(
    "lane host h2 is left out: it speaks version 9 of the fleet's messages",
  );
  await run(20_000);
  expect(d.lanes.views().map(({ id }) => id)).toEqual(["h1"]);
});

test("messages of earlier runs, sent again, change nothing", async () => {
  const { host, door, run } = fleet();
  const d = door();
  const h1 = host("h1").start();
  await run(300);
  const { run: earlier } = h1;
  await h1.kill();
  h1.restart();
  await run(400);
  const events = d.events("h1.cpu");
  for (let at = 0; at < 20; at++) {
    h1.tell({
      kind: "announce",
      run: earlier,
      device: "cpu",
      sequence: 99 + at,
      report: idleReport,
    });
    h1.tell({ kind: "bye", run: earlier });
    await run(100);
  }
  expect(d.events("h1.cpu")).toEqual(events);
});
