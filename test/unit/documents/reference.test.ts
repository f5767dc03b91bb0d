/** The pages of docs/reference, and a picture, are what the code says; `make reference` writes them. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { CLI_DOCUMENT, cliDocument, commandHelps } from "../../../tools/reference/cli-doc.js";
import { ERRORS_DOCUMENT, errorsDocument } from "../../../tools/reference/errors-doc.js";
import { PROTO_DOCUMENTS, protoDocument } from "../../../tools/reference/proto-doc.js";
import { TOP_DOCUMENT, topDocument } from "../../../tools/reference/top-doc.js";
import { commandInProcess } from "../../helpers/command-line.js";

const pages: { document: string; write: () => string }[] = [
  { document: CLI_DOCUMENT, write: cliDocument },
  { document: ERRORS_DOCUMENT, write: errorsDocument },
  { document: TOP_DOCUMENT, write: topDocument },
  ...PROTO_DOCUMENTS.map((each) => ({
    document: each.document,
    write: () => protoDocument(each),
  })),
];

test.each(pages)("$document is up to date: if not, run 'make reference'", ({ document, write }) => {
  expect(readFileSync(document, "utf8")).toBe(write());
});

describe("the command line", () => {
  test("has every command, with the help that it prints", async () => {
    const helps = commandHelps();
    expect(helps.length).toBeGreaterThan(25);
    const { stdout } = await commandInProcess(["submit", "--help"]);
    expect(helps.find(({ name }) => name === "lean-aggregator submit")?.help).toBe(stdout);
  });
});

describe("the errors", () => {
  const rows = readFileSync(ERRORS_DOCUMENT, "utf8")
    .split("\n")
    .filter((line) => /^\| `/.test(line));

  test("say of each code and reason what it means and what to do", () => {
    expect(rows.length).toBeGreaterThan(60);
    for (const row of rows) expect(row, row).not.toMatch(/\| +\|/);
  });

  test("have the exit codes of each command that lists them in its help", () => {
    const listing = commandHelps().filter(({ help }) => help.includes("\nExit codes:\n"));
    expect(listing.length).toBeGreaterThan(15);
    const text = rows.join("\n");
    for (const { name } of listing)
      expect(text).toContain(`| \`${name.replace("lean-aggregator ", "")}\` | **0** `);
  });
});
