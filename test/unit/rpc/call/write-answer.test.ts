import { expect, test } from "vitest";
import { encodeStatusMessage } from "../../../../server/rpc/call/write-answer.js";

test.each([
  ["a: b", "a: b"],
  [" both ends ", "%20both ends%20"],
  ["  ", "%20%20"],
  ["100%", "100%25"],
  ["ö\n", "%C3%B6%0A"],
  ["", ""],
])("the status message %j is sent as %j", (text, sent) => {
  expect(encodeStatusMessage(encodeURIComponent(text))).toBe(sent);
});

test("the time to encode a status message grows with its length alone", () => {
  const text = `a${" ".repeat(500_000)}b`;
  const begin = performance.now();
  expect(encodeStatusMessage(text)).toBe(text);
  expect(performance.now() - begin).toBeLessThan(5000);
});
