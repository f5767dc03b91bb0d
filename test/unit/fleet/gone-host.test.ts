/** A host goes: none of its lanes takes work any more, and nothing is sent to it or its next run. */
import { expect, test } from "vitest";
import { fleet, workOf } from "./door.js";

test("no lane of a host that has gone is free while another one of it goes", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  const h1 = host("h1").start({ cpu: {}, gpu: {} });
  await run(300);
  const link = d1.links.get("h1.gpu");
  await h1.kill();
  await run(1000);
  for (const device of ["h1.cpu", "h1.gpu"]) {
    expect(d1.of(device).slice(-2)).toMatchObject([
      {
        kind: "announce",
        phase: { kind: "failed", cause: "lane host h1 has vanished: nobody listens for it" },
      },
      { kind: "gone" },
    ]);
  }
  link?.send({ kind: "kill", lease: 1, attempt: 1, reason: "cancelled" });
  h1.restart();
  await run(10);
  expect(h1.ofKind("kill")).toEqual([]);
});

test("what a lane's earlier run was assigned is not sent to the host's next run", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  const h1 = host("h1").start();
  await run(300);
  const link = d1.links.get("h1.cpu");
  await h1.kill();
  h1.restart();
  await run(400);
  expect(d1.events("h1.cpu")).toEqual(["added", "gone", "added"]);
  link?.send({ kind: "kill", lease: 1, attempt: 1, reason: "cancelled" });
  await run(10);
  expect(h1.ofKind("kill")).toEqual([]);
});

test("an attempt for a host that has just died is no death: it never got there", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  const h1 = host("h1").start();
  await run(300);
  await h1.kill();
  d1.assign("h1.cpu", 7, workOf(2));
  await run(10);
  expect(d1.events("h1.cpu")).toEqual(["added", "missed"]);
  await run(1000);
  expect(d1.events("h1.cpu")).toEqual(["added", "missed", "gone"]);
  expect(d1.memory.heldBytes).toBe(0);
});
