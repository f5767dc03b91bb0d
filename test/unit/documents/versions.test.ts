/** One version for all that is released: npm, crates, chart, and the documents that name it. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";

const withVersion = z.looseObject({ version: z.string(), appVersion: z.string().optional() });
const { version } = withVersion.parse(JSON.parse(readFileSync("package.json", "utf8")));
const chart = "deploy/helm/lean-aggregator";
const found = (path: string, pattern: RegExp) =>
  [...readFileSync(path, "utf8").matchAll(pattern)].map(([, text]) => text);

test("the lock file has the package's version", () => {
  const lock = withVersion
    .extend({ packages: z.record(z.string(), z.looseObject({ version: z.string().optional() })) })
    .parse(JSON.parse(readFileSync("package-lock.json", "utf8")));
  expect([lock.version, lock.packages[""]?.version]).toEqual([version, version]);
});

test("so has the chart, as its own and as the image's", () => {
  const { version: own, appVersion } = withVersion.parse(
    parse(readFileSync(`${chart}/Chart.yaml`, "utf8")),
  );
  expect([own, appVersion]).toEqual([version, version]);
});

test.each([
  ["clients/rust/Cargo.toml", /^version = "(.*)"$/gm, 1],
  ["clients/rust/Cargo.lock", /^name = "lean-aggregator-\w+"\nversion = "(.*)"$/gm, 2],
  [`${chart}/ci/minimal-values.yaml`, /tag: ([\d.]+)/g, 1],
  ["docs/start.md", /lean-aggregator-([\d.]+)\.tgz/g, 1],
  ["docs/operate/fleet.md", /lean-aggregator:([\d.]+\d)/g, 2],
])("%s names it, %s", (path, pattern, count) => {
  expect(found(path, pattern)).toEqual(Array.from({ length: count }, () => version));
});

test("the changelog has a section for it, below what is not released", () => {
  const sections = found("CHANGELOG.md", /^## (.*?)(?: - .*)?$/gm);
  expect(sections[0]).toBe("Unreleased");
  expect(sections).toContain(version);
});
