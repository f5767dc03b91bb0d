/** SECURITY.md names, for each threat, what holds it and the tests that show it. */
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { quotedIn, rowsUnder, testTitles } from "./documents.js";

const threats = rowsUnder("SECURITY.md", "What holds, and the tests");
const layers = readdirSync("test", { withFileTypes: true }).filter((each) => each.isDirectory());
const sources = testTitles(...layers.map(({ name }) => name));

test("every threat has something that holds it", () => {
  expect(threats.length).toBeGreaterThan(10);
  for (const [threat = "", holds = ""] of threats) expect(holds, threat).not.toBe("");
});

test.each(threats)("%s: its tests are there", (_threat, _holds, tests = "") => {
  const names = quotedIn(tests);
  expect(names).not.toEqual([]);
  for (const name of names) expect(sources).toContain(name);
});
