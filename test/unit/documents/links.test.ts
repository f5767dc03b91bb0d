/** Every link of every document leads to a file, a page or a section that is there. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Document } from "../../../tools/site/document.js";
import { anchorOf, parseDocument } from "../../../tools/site/document.js";
import { targetOf } from "../../../tools/site/links.js";
import { addressOf, needsNoPage, SECTIONS } from "../../../tools/site/pages.js";

const paths = execFileSync("git", ["ls-files", "*.md"], { encoding: "utf8" }).trim().split("\n");
const documents = new Map(
  paths.map((path): [string, Document] => [path, parseDocument(readFileSync(path, "utf8"))]),
);

/** What is wrong with a link; empty when it leads somewhere. */
function faultOf(document: string, href: string): string {
  const target = targetOf(document, href);
  if (target.kind === "broken") return target.why;
  if (target.kind !== "document" || target.anchor === "") return "";
  const found = documents.get(target.document);
  if (found === undefined) return `${target.document} is not in the repository`;
  return found.anchors.has(target.anchor) ? "" : `no section ${target.anchor}`;
}

test.each(paths)("%s: its links lead somewhere", (path) => {
  const faults = (documents.get(path)?.links ?? []).flatMap(({ href, line }) => {
    const fault = faultOf(path, href);
    return fault === "" ? [] : [`line ${line}: ${href}: ${fault}`];
  });
  expect(faults).toEqual([]);
});

test("a dead link, a dead anchor, and one out of the repository are found out", () => {
  expect(faultOf("docs/start.md", "no-such.md")).toBe("there is no docs/no-such.md");
  expect(faultOf("docs/start.md", "concepts.md#no-such")).toBe("no section no-such");
  expect(faultOf("README.md", "../elsewhere.md")).toBe("leads out of the repository");
  expect(faultOf("docs/start.md", "#run-it")).toBe("");
});

test.each([
  ["The live page, and `admin top`", "the-live-page-and-admin-top"],
  ["`--keep-fatal` and what_is kept", "--keep-fatal-and-what_is-kept"],
  ["Why connect-go?", "why-connect-go"],
])("the anchor of %s", (heading, anchor) => {
  const [parsed] = parseDocument(`## ${heading}\n`).anchors;
  expect(parsed).toBe(anchor);
  expect(anchorOf(heading)).toBe(anchor);
});

test("every document has a page of the site, at an address of its own", () => {
  const addresses = paths
    .filter((path) => !needsNoPage(path))
    .map((path) => [path, addressOf(path)]);
  expect(addresses.filter(([, address]) => address === undefined)).toEqual([]);
  expect(new Set(addresses.map(([, address]) => address)).size).toBe(addresses.length);
});

test("every page of the sidebar is a document", () => {
  const named = SECTIONS.flatMap(({ pages }) => pages.map(([, document]) => document));
  expect(named.filter((document) => !documents.has(document))).toEqual([]);
});
