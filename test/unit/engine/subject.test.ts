/** Subjects: what a subscription hears, and what is invalid. */
import { expect, test } from "vitest";
import { limits } from "../../../server/limits.js";
import { checkMessage, checkPattern, matches } from "../../../server/engine/subject.js";

test.each([
  ["lean.a.hosts.*", "lean.a.hosts.h1", true],
  ["lean.a.hosts.*", "lean.a.hosts.h1.x", false],
  ["lean.a.hosts.*", "lean.a.hosts", false],
  ["lean.*.hosts.h1", "lean.a.hosts.h1", true],
  ["lean.*.hosts.h1", "lean.a.hosts.h2", false],
  ["lean.a.>", "lean.a.x.y", true],
  ["lean.a.>", "lean.a.x", true],
  ["lean.a.>", "lean.a", false],
  ["lean.a", "lean.a", true],
  [">", "lean", true],
])("a subscription to %s hears %s: %s", (pattern, subject, isHeard) => {
  expect(matches(pattern, subject)).toBe(isHeard);
});

test.each(["", ".", "a.", ".a", "a b", "a.*", "a.>", "a\r\nPUB b 0", "ä"])(
  "nothing is published on %j",
  (subject) => {
    expect(() => checkMessage(subject, new Uint8Array())).toThrow(RangeError);
  },
);

test.each(["", "a..b", "a.>.b", "a b", "a*", "a\n"])("nobody subscribes to %j", (pattern) => {
  expect(() => checkPattern(pattern)).toThrow(RangeError);
});

test("a message has as many bytes as a server takes that nobody configured, and not one more", () => {
  const most = limits.enginePayloadBytesMax;
  expect(() => checkMessage("a", new Uint8Array(most))).not.toThrow();
  expect(() => checkMessage("a", new Uint8Array(most + 1))).toThrow(
    `${most + 1} bytes on a: a message has ${most} at most`,
  );
});
