/** Every `make` command that a document names is one of the Makefile's. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const inFolder = (folder: string, recursive: boolean) =>
  readdirSync(folder, { recursive, encoding: "utf8" }).map((name) => join(folder, name));
const documents = [
  ...inFolder(".", false),
  ...["client", "clients", "deploy", "docs", "test", "tools"]
    .filter(existsSync)
    .flatMap((folder) => inFolder(folder, true)),
].filter((path) => path.endsWith(".md"));

const makefile = readFileSync("Makefile", "utf8");
const targets = new Set([...makefile.matchAll(/^([a-z-]+):/gm)].map(([, name]) => name));

/** In backticks, which may be broken over lines, or a line of a code block. Variables are no targets. */
function targetsIn(text: string): string[] {
  const commands = text.matchAll(/(?:`|^ {4})make\s+([^`#]*?)(?=`|#|$)/gm);
  return [...commands].flatMap(([, words = ""]) =>
    words.split(/\s+/).filter((word) => /^[a-z][a-z-]*$/.test(word)),
  );
}

const naming = documents
  .map((path) => ({ path, named: targetsIn(readFileSync(path, "utf8")) }))
  .filter(({ named }) => named.length > 0);

test("targets are found in the documents", () => {
  expect(naming.map(({ path }) => path)).toContain("README.md");
  const text =
    "`make\nabuse SEED=1 x=2`, `make sim-report ARGS=--strict`,\n    make demo    # runs\n";
  expect(targetsIn(text)).toEqual(["abuse", "sim-report", "demo"]);
});

test.each(naming)("$path: what it tells to make can be made", ({ named }) => {
  for (const target of named) expect(targets).toContain(target);
});
