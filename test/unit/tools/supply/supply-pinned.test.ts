/** What is installed is what was looked at: exact versions, and a hash of every package. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { z } from "zod";
import { parseLockFile } from "../../../../tools/supply/lock-file.js";
import { parseRequirements } from "../../../../tools/supply/requirements.js";

const read = (file: string) => readFileSync(file, "utf8");
const versions = z.record(z.string(), z.string());
const manifest = z
  .object({ dependencies: versions, devDependencies: versions })
  .parse(JSON.parse(read("package.json")));
const direct = { ...manifest.dependencies, ...manifest.devDependencies };

test("package.json names exact versions", () => {
  const ranges = Object.entries(direct).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version));
  expect(ranges).toEqual([]);
});

test("package-lock.json has the versions of package.json and a SHA-512 of every package", () => {
  const locked = parseLockFile(read("package-lock.json"));
  for (const [name, version] of Object.entries(direct))
    expect(locked).toContainEqual(expect.objectContaining({ name, version }));
  const withoutHash = locked.filter(({ integrity }) => !integrity.startsWith("sha512-"));
  expect(withoutHash).toEqual([]);
});

test.each([
  "native/requirements.txt",
  "native/requirements-multisig.txt",
  "tools/fleet/requirements.txt",
  "examples/python/requirements.txt",
  "test/interop/hadolint.txt",
  "test/deploy/schemas.txt",
])("%s has one version and hashes of every package", (file) => {
  const requirements = parseRequirements(read(file));
  expect(requirements).not.toEqual([]);
  for (const { name, version, sha256 } of requirements) {
    expect(version, name).toMatch(/^\d+(\.\d+)+$/);
    expect(sha256, name).not.toEqual([]);
  }
});

test("a requirement without a hash, or of a range, does not pass for a pinned one", () => {
  expect(parseRequirements("some-package==1.2.3\n")).toEqual([
    { name: "some-package", version: "1.2.3", sha256: [] },
  ]);
  expect(() => parseRequirements("some-package>=1.2\n")).toThrow("some-package>=1.2");
});

test("Go programs of the tests name a version", () => {
  const module = /"(github|connectrpc|helm)\.(com|sh)\/[^"]+"/g;
  const files = ["test/interop/interop-tools.ts", "test/deploy/deploy-tools.ts"];
  const modules = files.flatMap((file) => read(file).match(module) ?? []);
  expect(modules.length).toBeGreaterThanOrEqual(7);
  for (const module of modules) expect(module).toMatch(/@v\d+\.\d+\.\d+"$/);
});

test("Go modules that h2spec is built of have a hash", () => {
  const required = read("test/interop/h2spec/go.mod").match(/^\t\S+ v\S+/gm) ?? [];
  expect(required).not.toEqual([]);
  const hashes = read("test/interop/h2spec/go.sum");
  for (const module of required) expect(hashes).toContain(`${module.trim()} h1:`);
});

test("npm runs no script of a package that it installs, and pip checks hashes", () => {
  expect(read(".npmrc")).toMatch(/^ignore-scripts=true$/m);
  for (const file of [
    "native/pip.mjs",
    "test/interop/interop-tools.ts",
    "test/deploy/deploy-tools.ts",
  ])
    expect(read(file), file).toContain('"--require-hashes"');
});
