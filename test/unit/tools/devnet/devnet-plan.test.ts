/** Which runs of the matrix one call makes. */
import { expect, test } from "vitest";
import { endingBy, minutesOf, plannedRuns } from "../../../../tools/devnet/run/plan.js";

const runs = plannedRuns({ MODES: "worker,sidecar", SEED: "1,2", SLOTS: "200" });
const NOW_MS = 1_800_000_000_000;
const untilIn = (minutes: number) => ({ UNTIL: String(NOW_MS / 1000 + Math.ceil(60 * minutes)) });

test("without an end all runs are made", () => {
  expect(runs).toHaveLength(4);
  expect(endingBy({}, runs, NOW_MS)).toEqual(runs);
});

test("no run begins that would end too late, and the order stays", () => {
  const [first, second] = runs.map(minutesOf);
  const two = (first ?? 0) + (second ?? 0);
  expect(endingBy(untilIn(two), runs, NOW_MS)).toEqual(runs.slice(0, 2));
  expect(endingBy(untilIn(two - 1), runs, NOW_MS)).toEqual(runs.slice(0, 1));
  expect(endingBy(untilIn(-1), runs, NOW_MS)).toEqual([]);
});

test("an end that is no number is an error that names the variable", () => {
  expect(() => endingBy({ UNTIL: "soon" }, runs, NOW_MS)).toThrow("UNTIL is soon");
});
