/** ARCHITECTURE.md names, for each promise, files and tests: they exist. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { quotedIn, rowsUnder } from "./documents.js";

const promises = rowsUnder("ARCHITECTURE.md", "What is promised, and where it is kept");
const tests = readdirSync("test", { recursive: true, encoding: "utf8" }).filter((path) =>
  path.endsWith(".test.ts"),
);

test("there are promises to be kept", () => {
  expect(promises.length).toBeGreaterThan(30);
});

test.each(promises)("%s", (_promise, where = "", testedIn = "") => {
  for (const path of quotedIn(where))
    expect(existsSync(path) || existsSync(join("server", path)), path).toBe(true);
  expect(quotedIn(testedIn)).not.toEqual([]);
  for (const name of quotedIn(testedIn)) {
    const start = name.replace(/\*$/, "");
    expect(
      tests.some((path) => path.startsWith(start)),
      name,
    ).toBe(true);
  }
});
