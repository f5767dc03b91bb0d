/** What docs/operate/failures.md says of failures: each has a consequence, and tests that exist. */
import { expect, test } from "vitest";
import { quotedIn, rowsUnder, testTitles } from "./documents.js";

const failures = rowsUnder("docs/operate/failures.md", "What fails, what follows");
const titles = testTitles("chaos", "native", "rpc", "transport", "unit");

test("the table has its rows, each with what follows", () => {
  expect(failures.length).toBeGreaterThan(10);
  for (const [what = "", follows = ""] of failures) expect(follows, what).not.toBe("");
});

test.each(failures)("%s: its tests exist", (_what, _follows, tests = "") => {
  const names = quotedIn(tests);
  expect(names).not.toEqual([]);
  for (const name of names) expect(titles).toContain(name);
});
