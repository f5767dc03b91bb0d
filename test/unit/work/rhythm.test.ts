/** A lane knows from the gaps between its attempts how long it probably stays idle. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { gapBegan, gapEnded, noRhythm, quietMs } from "../../../server/work/rhythm.js";

/** The rhythm of a lane that had these gaps, and waits since the instant 0. */
function after(gapsMs: readonly number[]) {
  const ended = gapsMs.reduce((rhythm, gapMs) => {
    return gapEnded(gapBegan(rhythm, -gapMs), 0, true);
  }, noRhythm);
  return gapBegan(ended, 0);
}

test("while it works, no quiet is expected", () => {
  const working = gapEnded(after([3000, 3000, 3000]), 10, true);
  expect(quietMs(working, 20)).toBe(0);
  expect(quietMs(working, 1e6)).toBe(0);
});

test("between bursts, up to the shortest of the gaps that lasted longer", () => {
  const bursts = after([20, 50, 2900, 30, 2800, 40, 3100, 10]);
  expect(quietMs(bursts, 100)).toBe(2700);
  expect(quietMs(bursts, 2000)).toBe(800);
  // Within a burst the next group may come at once.
  expect(quietMs(bursts, 0)).toBe(10);
});

test("where hardly any gap lasted longer, for as long again after a minute", () => {
  expect(quietMs(after([]), 59_999)).toBe(0);
  expect(quietMs(after([]), 60_000)).toBe(60_000);
  // A node that has missed a slot may be back in the next one.
  expect(quietMs(after([3000, 3000, 600_000]), 4000)).toBe(0);
  expect(quietMs(after([3000, 3000, 600_000]), 70_000)).toBe(70_000);
});

test("a gap that ends without work, as by an operator's drain, teaches nothing", () => {
  const before = after([3000]);
  expect(gapEnded(before, 50, false).gapsMs).toEqual(before.gapsMs);
});

test("with a steady rhythm no attempt comes within the quiet that was expected", () => {
  const property = fc.property(
    fc.integer({ min: 500, max: 12_000 }),
    fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 20, maxLength: 20 }),
    (slotMs, shares) => {
      // Gaps are late by up to a tenth of a slot, and the newest ones have shown how much.
      const gaps = shares.map((share) => slotMs * (1 + share / 10));
      const rhythm = after([...gaps, slotMs]);
      for (let lastsMs = 0; lastsMs < slotMs; lastsMs += slotMs / 20) {
        expect(lastsMs + quietMs(rhythm, lastsMs)).toBeLessThanOrEqual(slotMs);
      }
    },
  );
  fc.assert(property);
});
