/** A door that drains leaves what runs on lane hosts to the next door, as one that dies does. */
import { expect, test } from "vitest";
import { inputDigest } from "../../../../server/work/input-digest.js";
import { description } from "../../../helpers/scripted-host.js";
import { DOOR_RUN, fleet, workOf } from "../door.js";

const PROOF = new Uint8Array(100).fill(9);

test("what runs on a lane host goes on when its door drains, and is killed neither then nor later", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  const h1 = host("h1").start();
  await run(300);
  const work = workOf(3);
  d1.assign("h1.cpu", 1, work);
  await run(1);
  const owners = [{ id: "d1", run: DOOR_RUN, attempt: 1 }];
  const digest = inputDigest(work, description);
  h1.announce("cpu", { phase: { kind: "proving", digest, owners, fenceInMs: 5000, proof: null } });
  await run(1);
  const link = d1.links.get("h1.cpu");
  link?.send({ kind: "kill", lease: 1, attempt: 1, reason: "draining" });
  expect(d1.memory.heldBytes).toBe(0);
  await run(600);
  // Each announcement shows the attempt, which the dispatcher does not know any more.
  link?.send({ kind: "kill", lease: 1, attempt: 1, reason: "draining" });
  link?.send({ kind: "kill", lease: 1, attempt: 1, reason: "cancelled" });
  await run(10);
  expect(h1.ofKind("kill")).toEqual([]);
  h1.end({ door: "d1", run: DOOR_RUN }, 1, h1.proved(PROOF));
  await run(10);
  expect(d1.results("h1.cpu")).toEqual([]);
  expect(await d1.count("fleet_faults_total")).toBe(0);
});

test("what a door has adopted goes on too", async () => {
  const { host, door, run, clock } = fleet();
  const d1 = door();
  const h1 = host("h1").start();
  await run(300);
  const work = workOf(3);
  const digest = inputDigest(work, description);
  const owners = [
    { id: "d2", run: "00000000000000ee", attempt: 4 },
    { id: "d1", run: DOOR_RUN, attempt: 9 },
  ];
  h1.announce("cpu", { phase: { kind: "proving", digest, owners, fenceInMs: 3000, proof: null } });
  await run(1);
  const link = d1.links.get("h1.cpu");
  const fenceAtMs = clock.nowMs() + 3000;
  link?.send({ kind: "adopt", attempt: 9, digest, work, fenceAtMs });
  link?.send({ kind: "kill", lease: 1, attempt: 9, reason: "draining" });
  link?.send({ kind: "kill", lease: 1, attempt: 9, reason: "cancelled" });
  await run(10);
  expect(h1.ofKind("adopt")).toHaveLength(1);
  expect(h1.ofKind("kill")).toEqual([]);
});
