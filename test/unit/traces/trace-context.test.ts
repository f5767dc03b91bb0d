/** The header `traceparent`, by the W3C's rules: a bad one is ignored. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { readTraceparent, writeTraceparent } from "../../../server/traces/trace-context.js";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const spanId = "00f067aa0ba902b7";
const valid = `00-${traceId}-${spanId}-01`;

test("a valid header names trace, span and whether the caller keeps them", () => {
  expect(readTraceparent(valid)).toEqual({ traceId, spanId, isSampled: true });
  expect(readTraceparent(`00-${traceId}-${spanId}-02`)?.isSampled).toBe(false);
});

test("of a later version, what follows the flags is not read", () => {
  expect(readTraceparent(`cc-${traceId}-${spanId}-01-what-comes`)).toMatchObject({ traceId });
});

test.each([
  undefined,
  "",
  "00",
  valid.toUpperCase(),
  `ff-${traceId}-${spanId}-01`,
  `00-${"0".repeat(32)}-${spanId}-01`,
  `00-${traceId}-${"0".repeat(16)}-01`,
  `${valid}-more`,
  `${valid}, ${valid}`,
  ` ${valid}`,
  `cc-${traceId}-${spanId}-01-${"x".repeat(300)}`,
])("%s is ignored", (header) => {
  expect(readTraceparent(header)).toBeUndefined();
});

test("no text makes it throw, and what it reads it writes so that it reads the same", () => {
  const hex = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`));
  const near = fc.tuple(hex(2), hex(32), hex(16), hex(2)).map((parts) => parts.join("-"));
  fc.assert(
    fc.property(fc.oneof(near, fc.string()), (header) => {
      const context = readTraceparent(header);
      if (context === undefined) return;
      expect(readTraceparent(writeTraceparent(context))).toEqual(context);
    }),
  );
});
