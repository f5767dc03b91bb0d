/** That the cases cover what PROTOCOL.md says, and have the form that their schemas say. */
import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { expect, it } from "vitest";
import { schemaFiles } from "../../../../tools/vectors/schema.js";
import { loadCases, loadSequences, readVector } from "../../../helpers/machine-vectors.js";

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

it("the schemas of events and effects are those of client/machine/events.ts", () => {
  for (const [name, text] of schemaFiles()) expect(readVector(`schema/${name}`), name).toBe(text);
});

it("cases and sequences have the form that the schemas say", () => {
  const ajv = new Ajv2020({ strict: true });
  const read = (name: string) => JSON.parse(readVector(`schema/${name}`)) as object;
  for (const name of ["event.json", "effect.json", "cases.json"]) ajv.addSchema(read(name), name);
  for (const [name, file] of loadCases())
    expect(ajv.validate("cases.json", file), `${name}: ${ajv.errorsText()}`).toBe(true);
  for (const sequence of loadSequences())
    expect(ajv.validate("cases.json#/$defs/case", sequence), ajv.errorsText()).toBe(true);
  expect(ajv.validate("event.json", { kind: "tick", slot: 1 }), "an unknown field").toBe(false);
});
