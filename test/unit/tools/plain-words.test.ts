/** The check of words finds an idiom where it stands, and leaves the field's words alone. */
import { expect, test } from "vitest";
import { findingsIn } from "../../../tools/words/plain-words.js";

test("names file, line and the better word", () => {
  expect(findingsIn("a.ts", "const a = 1;\n/** Whoever calls is told of it. */\n")).toEqual([
    { place: "a.ts:2", idiom: "Whoever", instead: "a client, a caller, everyone who" },
  ]);
});

test.each([
  "Attempts in flight, by node.",
  "A client that resets its calls delays only itself.",
  "the current certificate stays in use",
])("leaves plain words alone: %s", (text) => {
  expect(findingsIn("a.ts", text)).toEqual([]);
});
