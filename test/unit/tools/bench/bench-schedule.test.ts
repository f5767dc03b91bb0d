/** What the bench of the schedule counts. */
import { expect, test } from "vitest";
import { BenchDoor } from "../../../../tools/bench/schedule/door.js";

test("slots before those that are measured count in no figure", () => {
  const [nodes, warmUp, measured] = [3, 2, 1];
  const { accepted, skipped, endings } = new BenchDoor(nodes, 2).run(warmUp, measured);
  expect(accepted + skipped).toBe(nodes * measured);
  const ended = Object.values(endings).reduce((sum, count) => sum + count, 0);
  expect(ended).toBeGreaterThan(0);
});
