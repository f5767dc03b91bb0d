/** Tables of the documents, and the tests that they name. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The cells of the table under the heading, without its header. */
export function rowsUnder(file: string, heading: string): string[][] {
  const text = readFileSync(join(process.cwd(), file), "utf8");
  const section = text.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  const lines = section.split("\n").filter((line) => line.startsWith("| "));
  return lines.slice(2).map((line) =>
    line
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim()),
  );
}

/** What stands in backticks. */
export function quotedIn(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
}

/**
 * The string literals of every test in these folders of `test/`, a line each: titles, and the rows
 * that fill them in. What only a comment says is not among them.
 */
export function testTitles(...folders: string[]): string {
  const commentOrString = /\/\*[\s\S]*?\*\/|\/\/.*|(["'`])((?:\\.|(?!\1)[^\\])*)\1/g;
  return folders
    .flatMap((folder) =>
      readdirSync(join("test", folder), { recursive: true, encoding: "utf8" }).map((name) =>
        join("test", folder, name),
      ),
    )
    .filter((file) => file.endsWith(".test.ts"))
    .flatMap((file) => [...readFileSync(file, "utf8").matchAll(commentOrString)])
    .map(([, , text = ""]) => text)
    .join("\n");
}
