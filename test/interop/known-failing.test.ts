/** An exception of a foreign suite needs a reason. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../helpers/temporary-folder.js";
import { readKnownFailing } from "./known-failing.js";

function read(text: string): [string, string][] {
  const path = join(temporaryFolder(), "known-failing.txt");
  writeFileSync(path, text);
  return [...readKnownFailing(path)];
}

test("a comment is the reason of the cases below it", () => {
  const text = "# What this file is.\n\n# Too\n# hard.\none/1\n two/** \n\n# Too late.\nthree\n";
  expect(read(text)).toEqual([
    ["one/1", "Too hard."],
    ["two/**", "Too hard."],
    ["three", "Too late."],
  ]);
});

test.each([
  ["without a reason", "# Too hard.\none\n\ntwo\n", "two has no reason"],
  ["listed twice", "# Too hard.\none\none\n", "one stands there twice"],
])("a case %s is refused", (_what, text, message) => {
  expect(() => read(text)).toThrow(message);
});
