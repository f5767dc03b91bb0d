/** How long those wait who come from an address that was cut for what it did. */
import { expect, test } from "vitest";
import { limits } from "../../../server/limits.js";
import { Penalties } from "../../../server/net/penalties.js";

const { penaltyEveryMs: EVERY, penaltyMs: LONGEST } = limits;

test("others do not wait, and those from there do one after the other", () => {
  const penalties = new Penalties();
  expect(penalties.turnAtMs("a", 0)).toBe(0);
  penalties.blame("a", 0);
  expect(penalties.turnAtMs("b", 0)).toBe(0);
  expect([0, 1, 1].map((nowMs) => penalties.turnAtMs("a", nowMs))).toEqual([
    EVERY,
    2 * EVERY,
    3 * EVERY,
  ]);
});

test("nobody waits for longer than the penalty lasts", () => {
  const penalties = new Penalties();
  penalties.blame("a", 0);
  for (let connection = 0; connection < 100; connection++) {
    expect(penalties.turnAtMs("a", 0)).toBeLessThanOrEqual(LONGEST);
  }
});

test("it ends, and lasts on while there is more to blame", () => {
  const penalties = new Penalties();
  penalties.blame("a", 0);
  penalties.blame("a", LONGEST - 1);
  expect(penalties.turnAtMs("a", LONGEST)).toBe(LONGEST + EVERY);
  expect(penalties.turnAtMs("a", 2 * LONGEST - 1)).toBe(2 * LONGEST - 1);
});

test("the oldest address is forgotten where there are too many", () => {
  const penalties = new Penalties();
  for (let at = 0; at <= limits.penaltiesMax; at++) penalties.blame(`address ${at}`, 0);
  expect(penalties.turnAtMs("address 0", 0)).toBe(0);
  expect(penalties.turnAtMs("address 1", 0)).toBe(EVERY);
});
