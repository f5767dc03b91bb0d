/** Every package's licence is one that the project may use, and an unusual one is found out. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { isMetBy, shippedLicences, toolLicences } from "../../../../tools/supply/licences.js";
import { parseLockFile } from "../../../../tools/supply/lock-file.js";
import { readWheel } from "../../../../tools/supply/wheel.js";

const locked = parseLockFile(readFileSync("package-lock.json", "utf8"));
const wheel = readWheel(process.cwd());

test("every npm package that is shipped has a licence that may be shipped", () => {
  const shipped = locked.filter(({ isShipped }) => isShipped);
  expect(shipped.length).toBeGreaterThan(20);
  expect(shipped.filter(({ licence }) => !isMetBy(shippedLicences, licence))).toEqual([]);
});

test("every npm package for development has a licence that a tool may have", () => {
  const tools = locked.filter(({ isShipped }) => !isShipped);
  expect(tools.length).toBeGreaterThan(100);
  expect(tools.filter(({ licence }) => !isMetBy(toolLicences, licence))).toEqual([]);
});

test("the prover's wheel, and each crate that states a licence, has one that may be shipped", () => {
  expect(wheel.licence).not.toBe("");
  expect(isMetBy(shippedLicences, wheel.licence), wheel.licence).toBe(true);
  const stated = wheel.crates.flatMap(({ name, licenses = [] }) =>
    licenses.map(({ expression, license }) => ({ name, licence: expression ?? license?.id ?? "" })),
  );
  expect(stated.length).toBeGreaterThan(20);
  expect(stated.filter(({ licence }) => !isMetBy(shippedLicences, licence))).toEqual([]);
});

test("only crates of leanVM's own workspace state none: the wheel's licence is theirs", () => {
  const silent = wheel.crates.filter(({ licenses = [] }) => licenses.length === 0);
  const elsewhere = silent.filter(({ purl = "" }) => !purl.includes("/leanEthereum/leanVM.git"));
  expect(elsewhere.map(({ name }) => name)).toEqual([]);
});

test.each([
  ["MIT", true],
  ["(MIT OR GPL-3.0-only)", true],
  ["(Apache-2.0 AND BSD-3-Clause)", true],
  ["(MIT OR Apache-2.0) AND Unicode-3.0", true],
  ["GPL-3.0-only OR (MIT AND (ISC OR GPL-2.0-only))", true],
  ["Apache-2.0 WITH LLVM-exception", true],
  ["GPL-3.0-only", false],
  ["MIT AND GPL-3.0-only", false],
  ["(MIT AND GPL-3.0-only) OR AGPL-3.0-only", false],
  ["MPL-2.0", false],
  ["SEE LICENSE IN LICENCE.txt", false],
  ["MIT OR", false],
  ["", false],
])("%s may be shipped: %s", (expression, isAllowed) => {
  expect(isMetBy(shippedLicences, expression)).toBe(isAllowed);
});
