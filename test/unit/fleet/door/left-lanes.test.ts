/** A lane host goes: results that are here are still taken, and those that come late are no fault. */
import { expect, test } from "vitest";
import { description } from "../../../helpers/scripted-host.js";
import { DOOR_RUN, fleet, workOf } from "../door.js";

const PROOF = new Uint8Array(100).fill(9);
const d1 = { door: "d1", run: DOOR_RUN };

/** A door with a verifier of its own that answers when it is asked to, and a host that has an attempt. */
async function assigned() {
  const { host, door, run } = fleet();
  const d = door();
  const waiting: ((isValid: boolean) => void)[] = [];
  const verify = () => new Promise<boolean>((resolve) => void waiting.push(resolve));
  d.own = { description, verifier: { verify } };
  const h1 = host("h1").start();
  await run(300);
  d.assign("h1.cpu", 1, workOf(2));
  await run(1);
  const answer = () => waiting.splice(0).forEach((resolve) => resolve(true));
  return { d, h1, run, answer };
}

test("a host that says bye right after its proof loses nothing: the proof is verified and taken", async () => {
  const { host, door, run } = fleet();
  const d = door();
  const [h1, h2] = [host("h1").start(), host("h2").start()];
  await run(300);
  d.assign("h1.cpu", 1, workOf(2));
  await run(1);
  h1.end(d1, 1, h1.proved(PROOF));
  h1.tell({ kind: "bye", run: h1.run });
  h1.fallSilent();
  await run(10);
  expect(d.events("h1.cpu")).toEqual(["added", "ended", "gone"]);
  expect(d.results("h1.cpu")[0]?.result).toMatchObject({
    kind: "proved",
    verifiedBy: "other_host",
  });
  expect(h2.ofKind("verify")).toHaveLength(1);
  expect(await d.count("fleet_gone_total", { cause: "ended" })).toBe(1);
  expect(await d.count("fleet_attempts_gone_total")).toBe(0);
  expect(d.memory.heldBytes).toBe(0);
});

test("while its result is verified the lane takes nothing, and one of the host's next run waits", async () => {
  const { d, h1, run, answer } = await assigned();
  h1.end(d1, 1, h1.proved(PROOF));
  h1.announce("cpu", { lease: 2 });
  h1.tell({ kind: "bye", run: h1.run });
  await run(1);
  await h1.kill();
  h1.restart({ cpu: { lease: 1 } });
  await run(700);
  expect(d.events("h1.cpu")).toEqual(["added"]);
  expect(d.last("h1.cpu")).toMatchObject({ lease: 1, phase: { kind: "failed" }, adoptable: [] });
  answer();
  await run(700);
  expect(d.events("h1.cpu")).toEqual(["added", "ended", "gone", "added"]);
  expect(d.results("h1.cpu")[0]?.result).toMatchObject({ kind: "proved" });
  expect(d.last("h1.cpu")?.phase.kind).toBe("idle");
});

test("once nobody waits for the result of a host that has gone, its lane goes too", async () => {
  const { d, h1, run } = await assigned();
  h1.end(d1, 1, h1.proved(PROOF));
  h1.tell({ kind: "bye", run: h1.run });
  h1.fallSilent();
  await run(10);
  expect(d.events("h1.cpu")).toEqual(["added"]);
  d.links.get("h1.cpu")?.send({ kind: "kill", lease: 1, attempt: 1, reason: "fence" });
  expect(d.events("h1.cpu")).toEqual(["added"]);
  await run(1);
  expect(d.events("h1.cpu")).toEqual(["added", "gone"]);
  expect(h1.ofKind("kill")).toEqual([]);
});

test("a proof that was not fetched yet goes with its host", async () => {
  const { d, h1, run } = await assigned();
  h1.end(d1, 1, h1.proved(PROOF, false));
  h1.tell({ kind: "bye", run: h1.run });
  h1.fallSilent();
  await run(10);
  expect(d.events("h1.cpu")).toEqual(["added", "gone"]);
  expect(await d.count("fleet_attempts_gone_total")).toBe(1);
});

test("a result that comes late after a cut is no fault, but is one later", async () => {
  const { host, door, run } = fleet();
  const d = door();
  const h1 = host("h1").start();
  await run(300);
  d.assign("h1.cpu", 1, workOf(2));
  await run(1);
  h1.fallSilent();
  h1.engine.cut();
  await run(1500);
  h1.engine.restore();
  h1.start();
  await run(100);
  h1.end(d1, 1, h1.proved(PROOF));
  await run(10);
  expect(await d.count("fleet_gone_total")).toBe(1);
  expect(d.results("h1.cpu")).toEqual([]);
  expect(await d.count("fleet_faults_total")).toBe(0);
  h1.end(d1, 2, h1.proved(PROOF));
  await run(20_000);
  h1.end(d1, 1, h1.proved(PROOF));
  await run(10);
  expect(await d.count("fleet_faults_total", { fault: "unassigned" })).toBe(2);
});
