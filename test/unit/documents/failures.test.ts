/**
 * What docs/operate/failures.md and fleet.md say of failures: each has a consequence, and tests that
 * exist.
 */
import { expect, test } from "vitest";
import { quotedIn, rowsUnder, testTitles } from "./documents.js";

const failures = rowsUnder("docs/operate/failures.md", "What fails, what follows");
const ofTheFleet = rowsUnder("docs/operate/fleet.md", "What fails, what follows");
const titles = testTitles("chaos", "native", "rpc", "transport", "unit");

test.each([
  { table: failures, rows: 11 },
  { table: ofTheFleet, rows: 8 },
])("the table has its $rows rows or more, each with what follows", ({ table, rows }) => {
  expect(table.length).toBeGreaterThanOrEqual(rows);
  for (const cells of table) expect(cells, cells[0]).not.toContain("");
});

test.each([...failures, ...ofTheFleet])("%s: its tests exist", (...cells) => {
  const names = quotedIn(cells.at(-1) ?? "");
  expect(names).not.toEqual([]);
  for (const name of names) expect(titles).toContain(name);
});
