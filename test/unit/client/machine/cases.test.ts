/** That the cases cover what PROTOCOL.md says. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { loadCases } from "../../../helpers/machine-vectors.js";

it("every rule of PROTOCOL.md has a case", () => {
  const text = readFileSync(new URL("../../../../client/PROTOCOL.md", import.meta.url), "utf8");
  const rules = [...text.matchAll(/^(\d+)\. /gm)].map((match) => Number(match[1]));
  const covered = new Set([...loadCases().values()].flatMap((file) => file.rules));
  expect(rules).toHaveLength(12);
  expect(rules.filter((rule) => !covered.has(rule))).toEqual([]);
});

it("no two cases of a file have the same name", () => {
  for (const [name, { cases }] of loadCases())
    expect(new Set(cases.map((each) => each.name)).size, name).toBe(cases.length);
});
