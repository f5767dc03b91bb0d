/** What the documents say of failures: README and ARCHITECTURE name the same ones, each with tests. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const read = (file: string) => readFileSync(join(process.cwd(), file), "utf8");

/** The cells of the table under the heading, without its header. */
function rowsUnder(file: string, heading: string): string[][] {
  const section = read(file).split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  const lines = section.split("\n").filter((line) => line.startsWith("| "));
  return lines.slice(2).map((line) =>
    line
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim()),
  );
}

const inReadme = rowsUnder("README.md", "When something fails");
const inArchitecture = rowsUnder("ARCHITECTURE.md", "What fails, and the tests that make it fail");
const sources = ["test/chaos", "test/unit"]
  .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
  .filter((file) => file.endsWith(".test.ts"))
  .map(read)
  .join("\n");

test("README and ARCHITECTURE tell of the same failures, in the same order", () => {
  expect(inReadme.length).toBeGreaterThan(10);
  expect(inArchitecture.map(([what]) => what)).toEqual(inReadme.map(([what]) => what));
});

test.each(inArchitecture)("%s: its tests are there", (_what, tests = "") => {
  const names = [...tests.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
  expect(names).not.toEqual([]);
  for (const name of names) expect(sources).toContain(name);
});
