/** What the documents say of failures: README and ARCHITECTURE name the same ones, each with tests. */
import { expect, test } from "vitest";
import { quotedIn, rowsUnder, testTitles } from "./documents.js";

const inReadme = rowsUnder("README.md", "When something fails");
const inArchitecture = rowsUnder("ARCHITECTURE.md", "What fails, and the tests that make it fail");
const sources = testTitles("chaos", "unit");

test("README and ARCHITECTURE tell of the same failures, in the same order", () => {
  expect(inReadme.length).toBeGreaterThan(10);
  expect(inArchitecture.map(([what]) => what)).toEqual(inReadme.map(([what]) => what));
});

test.each(inArchitecture)("%s: its tests are there", (_what, tests = "") => {
  const names = quotedIn(tests);
  expect(names).not.toEqual([]);
  for (const name of names) expect(sources).toContain(name);
});
