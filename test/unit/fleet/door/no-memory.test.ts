/** A door whose memory is used up: an attempt goes back, and no lane host is at fault. */
import { expect, test } from "vitest";
import { DOOR_RUN, fleet, workOf } from "../door.js";

const LARGE_PROOF = new Uint8Array(100_000).fill(9);

test("an attempt for whose work no memory is free goes back, without a death and without a fault", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  const h1 = host("h1").start();
  await run(300);
  const all = d1.memory.reserve(1e9);
  d1.assign("h1.cpu", 7, workOf(2));
  // Not before the dispatcher has assigned all that it can.
  expect(d1.events("h1.cpu")).toEqual(["added"]);
  await run(1);
  expect(d1.events("h1.cpu")).toEqual(["added", "missed"]);
  expect(h1.ofKind("assign")).toEqual([]);
  expect(await d1.count("fleet_faults_total")).toBe(0);
  all?.release();
  d1.assign("h1.cpu", 8, workOf(2));
  await run(1);
  expect(h1.ofKind("assign")).toMatchObject([{ attempt: 8 }]);
});

test("a host that could not be asked for lack of memory is asked once there is some", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  const [h1, h2] = [host("h1").start(), host("h2").start()];
  await run(300);
  d1.assign("h1.cpu", 1, workOf(2));
  await run(1);
  const rest = d1.memory.reserve(1e9 - d1.memory.heldBytes);
  h1.end({ door: "d1", run: DOOR_RUN }, 1, h1.proved(LARGE_PROOF));
  await run(450);
  expect(h2.ofKind("verify")).toEqual([]);
  expect(d1.results("h1.cpu")).toEqual([]);
  rest?.release();
  await run(150);
  expect(h2.ofKind("verify")).toHaveLength(1);
  expect(d1.results("h1.cpu")[0]?.result).toMatchObject({ verifiedBy: "other_host" });
});
