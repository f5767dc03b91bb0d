/** The arithmetic of a slot, on the cases that every language holds. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import {
  fenceAtMs,
  intervalAtMs,
  mayStart,
  nextBoundaryAtMs,
  slotAt,
  stepsOf,
  type Duty,
  type SlotTimes,
  type StepAt,
} from "../../../client/adapter/slot-times.js";

/** Goes through the cases of one file of `test/vectors/slot`. */
function holds<Case extends object>(file: string, check: (one: Case) => void): void {
  it(`holds the cases of ${file}`, () => {
    const path = new URL(`../../vectors/slot/${file}.json`, import.meta.url);
    const { cases } = JSON.parse(readFileSync(path, "utf8")) as { cases: Case[] };
    expect(cases.length).toBeGreaterThan(0);
    for (const one of cases) check(one);
  });
}

holds<{ times: SlotTimes; atMs: number; slot: number }>("slot", ({ times, atMs, slot }) =>
  expect(slotAt(times, atMs), String(atMs)).toBe(slot),
);

holds<{ times: SlotTimes; slot: number; interval: number; atMs: number }>(
  "interval",
  ({ times, slot, interval, atMs }) => expect(intervalAtMs(times, slot, interval)).toBe(atMs),
);

holds<{ times: SlotTimes; atMs: number; boundaryAtMs: number }>("next-boundary", (one) =>
  expect(nextBoundaryAtMs(one.times, one.atMs), String(one.atMs)).toBe(one.boundaryAtMs),
);

holds<{ times: SlotTimes; slot: number; fenceAtMs: number }>("fence", (one) =>
  expect(fenceAtMs(one.times, one.slot)).toBe(one.fenceAtMs),
);

holds<{ duty: Duty; atMs: number; mayStart: boolean }>("quorum", (one) =>
  expect(mayStart(one.duty, one.atMs), JSON.stringify(one)).toBe(one.mayStart),
);

holds<{ times: SlotTimes; slot: number; atMs: number; fenceAtMs: number; steps: StepAt[] }>(
  "steps",
  (one) => expect(stepsOf(one.times, one.slot, one), JSON.stringify(one)).toEqual(one.steps),
);
