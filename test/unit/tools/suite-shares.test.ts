/** What a run's summary says of its suites. */
import { expect, test } from "vitest";
import { sharesOf, unsteadyOf } from "../../../tools/suites/suite-shares.js";

test("adds files up by suite, the longest first, with each one's share", () => {
  const file = (suite: string, tests: number, seconds: number) => ({
    suite,
    files: 1,
    tests,
    seconds,
  });
  const rows = sharesOf([file("unit", 3, 1), file("rpc", 2, 6), file("unit", 5, 1)]).split("\n");
  expect(rows.map((row) => row.trim().split(/\s+/))).toEqual([
    ["suite", "files", "tests", "seconds", "share"],
    ["rpc", "1", "2", "6.0", "75", "%"],
    ["unit", "2", "8", "2.0", "25", "%"],
  ]);
});

test("names the tests that failed, and those that passed at a later try, with their errors", () => {
  const names = unsteadyOf([
    { name: "a > late", hasFailed: false, errors: ["test/a.test.ts:3: timed out"] },
    { name: "b > wrong", hasFailed: true, errors: ["expected 1 to be 2", "expected 3 to be 2"] },
  ]);
  expect(names).toBe(
    "\nfailed:\n  b > wrong\n      expected 1 to be 2\n      expected 3 to be 2\n" +
      "\npassed only when tried again:\n  a > late\n      test/a.test.ts:3: timed out\n",
  );
  expect(unsteadyOf([])).toBe("");
});
