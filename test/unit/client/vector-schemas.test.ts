/** Every committed vector has the form that its schema says. */
import { readdirSync, readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { expect, it } from "vitest";

const vectors = new URL("../../vectors/", import.meta.url);
const read = (path: string): unknown => JSON.parse(readFileSync(new URL(path, vectors), "utf8"));

it.each([
  ["slot", "slot"],
  ["requests", "requests"],
  ["merges", "merges"],
  ["transcripts", "transcript"],
])("the files of %s are valid by the schema %s", (folder, schema) => {
  const ajv = new Ajv2020({ allErrors: true, strict: false });
  const isValid = ajv.compile(read(`schema/${schema}.json`) as object);
  const files = readdirSync(new URL(folder, vectors));
  expect(files.length).toBeGreaterThan(0);
  for (const file of files) {
    isValid(read(`${folder}/${file}`));
    expect(isValid.errors, file).toBeNull();
  }
});
