/** What the bench prints and writes of a measurement. */
import { expect, test } from "vitest";
import {
  goalLine,
  sectionJson,
  sectionText,
  table,
  verdict,
} from "../../../../tools/bench/report.js";

const goal = { what: "busy p99", value: 41.234, atMost: 40, unit: " ms" };

test("a goal is met at its limit and missed beyond it", () => {
  expect(verdict({ ...goal, value: 40 })).toBe("met");
  expect(verdict({ ...goal, value: 40.001 })).toBe("missed");
});

test("a figure that could not be measured misses its goal", () => {
  expect(verdict({ ...goal, value: NaN })).toBe("missed");
});

test("a goal's line says the verdict, the figure and the limit", () => {
  expect(goalLine(goal)).toBe("missed: busy p99: 41.23 ms, goal at most 40 ms");
});

test("a known error stands beside the figure", () => {
  const line = goalLine({ ...goal, error: 3.456 });
  expect(line).toBe("missed: busy p99: 41.23 ± 3.46 ms, goal at most 40 ms");
});

test("columns line up to the right under their names", () => {
  const rows = [
    { state: "idle", ackMs: 5.128 },
    { state: "proving", ackMs: 12 },
  ];
  expect(table(rows)).toEqual(["  state  ackMs", "   idle   5.13", "proving     12"]);
});

test("a row without a column's value leaves it empty", () => {
  expect(table([{ a: 1 }, { b: 2 }])).toEqual(["a  b", "1   ", "   2"]);
});

const section = {
  title: "overhead",
  rows: [{ raws: 32, addedMs: 41.234 }],
  goals: [goal],
  notes: ["Per pair."],
};

test("a section's text has its table, verdicts and notes below its title", () => {
  expect(sectionText(section).split("\n")).toEqual([
    "overhead",
    "  raws  addedMs",
    "    32    41.23",
    "  missed: busy p99: 41.23 ms, goal at most 40 ms",
    "  Per pair.",
  ]);
});

test("a section's JSON has the same figures, each goal with its verdict", () => {
  expect(sectionJson(section)).toEqual({
    title: "overhead",
    rows: [{ raws: 32, addedMs: 41.23 }],
    goals: [{ ...goal, value: 41.23, verdict: "missed" }],
  });
});
