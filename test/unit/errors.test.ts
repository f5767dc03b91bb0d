/** Texts of a caller in an error: short, and such that every protocol can carry them. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { cut, quoted, wellFormed } from "../../server/errors.js";

const GRIN = "\u{1F600}";
const HALF = "\uD83D";
const REPLACEMENT = "\uFFFD";

test.each([
  ["a".repeat(100), "a".repeat(100)],
  ["a".repeat(101), `${"a".repeat(100)}…`],
  [`${"a".repeat(98)}${GRIN}a`, `${"a".repeat(98)}${GRIN}…`],
  [`${"a".repeat(99)}${GRIN}`, `${"a".repeat(99)}…`],
  [`a${HALF}a`, `a${REPLACEMENT}a`],
])("%j is cut to %j", (text, is) => {
  expect(cut(text)).toBe(is);
});

test("a quoted text shows half of a surrogate pair as an escape, and cuts no pair in two", () => {
  expect(quoted(`a${HALF}`)).toBe('"a\\ud83d"');
  expect(quoted(`${"a".repeat(99)}${GRIN}`)).toBe(`"${"a".repeat(99)}…"`);
});

test("whatever the text, its quote and its start can be sent as a status", () => {
  const units = fc.array(fc.integer({ min: 0xd7f0, max: 0xe010 }), { maxLength: 200 });
  const property = fc.property(units, (codes) => {
    const text = String.fromCharCode(...codes);
    for (const shown of [cut(text), quoted(text), wellFormed(text)]) {
      expect(decodeURIComponent(encodeURIComponent(shown))).toBe(shown);
    }
    expect(cut(text).length).toBeLessThanOrEqual(101);
  });
  fc.assert(property);
});
