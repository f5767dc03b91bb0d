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
  expect(() => endingBy({ UNTIL: "soon" }, runs, NOW_MS)).toThrow('UNTIL is "soon"');
});

test.each([
  [{ MODES: "worker,remote:abc" }, "MODES has remote:abc, expected a whole number from 1"],
  [{ MODES: "remote:0" }, "MODES has remote:0"],
  [{ MODES: "remote:" }, "MODES has remote:"],
  [{ MODES: "remote:5:6" }, "MODES has remote:5:6"],
  [{ SLOTS: "0" }, 'SLOTS is "0", expected a whole number from 1'],
  [{ SLOTS: "" }, 'SLOTS is ""'],
  [{ SLOT_MS: "0" }, 'SLOT_MS is "0"'],
  [{ VALIDATORS: "0" }, 'VALIDATORS is "0"'],
  [{ LOOKAHEAD: "-1" }, 'LOOKAHEAD is "-1", expected a whole number from 0'],
  [{ SEED: "1,1.5" }, "SEED has 1.5"],
])("%j would be a run of nothing, and is refused by name", (env, text) => {
  expect(() => plannedRuns(env)).toThrow(text);
});

test("a mode may have slots of its own, and the lookahead may be 0", () => {
  const [own, other] = plannedRuns({ MODES: "remote:5,inline", SLOTS: "7", LOOKAHEAD: "0" });
  expect([own?.slots, other?.slots, own?.lookaheadSlots]).toEqual([5, 7, 0]);
});
