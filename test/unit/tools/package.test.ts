/** What the packages of service and client say of themselves. */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import {
  clientManifest,
  parseManifest,
  serviceManifest,
} from "../../../tools/package/manifests.js";
import { reachableFrom } from "../../../tools/package/reachable.js";
import { checksumProblems, packageProblems } from "../../../tools/package/release-problems.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";

const own = parseManifest(readFileSync("package.json", "utf8"));

test("the service's package runs no script at its installation, and carries its native parts", () => {
  const manifest = serviceManifest(own);
  expect(manifest).not.toHaveProperty("scripts");
  expect(manifest).not.toHaveProperty("devDependencies");
  expect(manifest.files).toContain("prebuilds");
  expect(manifest["bin"]).toEqual({ "lean-aggregator": "dist/cli/main.js" });
});

test("the client's package has the version of the service, and depends on what it imports", () => {
  const manifest = clientManifest(own, ["@grpc/grpc-js"]);
  expect(manifest.version).toBe(own.version);
  expect(manifest.dependencies).toEqual({ "@grpc/grpc-js": own.dependencies["@grpc/grpc-js"] });
  expect(() => clientManifest(own, ["left-pad"])).toThrow(
    "left-pad is imported, but no dependency",
  );
});

test("what is reachable follows code and declarations, and names packages once", () => {
  const root = temporaryFolder();
  mkdirSync(join(root, "dist/part"), { recursive: true });
  const write = (path: string, text: string) => writeFileSync(join(root, path), text);
  write("dist/index.js", 'export { a } from "./part/a.js";\nimport fs from "node:fs";\n');
  write("dist/index.d.ts", 'import type { T } from "./types.js";\nimport("@scope/name/part");\n');
  write("dist/part/a.js", 'import x from "other/deep";\nawait import("../index.js");\n');
  write("dist/part/a.d.ts", "export {};\n");
  write("dist/types.js", "export {};\n");
  write("dist/types.d.ts", "export {};\n");
  write("dist/unused.js", "export {};\n");
  expect(reachableFrom(root, ["dist/index.js"])).toEqual({
    files: ["dist/index.d.ts", "dist/index.js", "dist/part/a.d.ts", "dist/part/a.js"].concat([
      "dist/types.d.ts",
      "dist/types.js",
    ]),
    packages: ["@scope/name", "other"],
  });
  expect(() => reachableFrom(root, ["dist/none.js"])).toThrow("run 'make build'");
});

const sumsOf = (files: ReadonlyMap<string, Uint8Array>) =>
  [...files]
    .map(([name, bytes]) => `${createHash("sha256").update(bytes).digest("hex")}  ./${name}\n`)
    .join("");

test("a file that was changed, added or taken out after the checksums were written is a problem", () => {
  const files = new Map([
    ["a.tgz", new Uint8Array([1])],
    ["a.sbom.json", new Uint8Array([2])],
  ]);
  const sums = sumsOf(files);
  expect(checksumProblems(sums, files)).toEqual([]);
  expect(checksumProblems(undefined, files)).toEqual(["SHA256SUMS is missing"]);
  expect(checksumProblems(`${sums}no checksum\n`, files)).toEqual(["SHA256SUMS has no checksum"]);
  const changed = new Map(files).set("a.tgz", new Uint8Array([3])).set("b.tgz", new Uint8Array(0));
  changed.delete("a.sbom.json");
  expect(checksumProblems(sums, changed)).toEqual([
    "a.tgz has another SHA-256 than listed",
    "a.sbom.json is in SHA256SUMS, and missing",
    "b.tgz is not in SHA256SUMS",
  ]);
});

test("a package is held against the checkout and against its bill of materials", () => {
  const { version, license, repository } = own;
  const manifest = { name: "p", version, license, repository, dependencies: { "@s/d": "1.0.0" } };
  const bill = { components: [{ group: "@s", name: "d", version: "1.0.0" }] };
  const paths = ["CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];
  const good = {
    file: `p-${version}.tgz`,
    manifest: JSON.stringify(manifest),
    paths: [...paths, "prebuilds/linux-x64/lean_pq.so"],
    bill: JSON.stringify(bill),
  };
  const { file } = good;
  expect(packageProblems(good, own, ["linux-x64"])).toEqual([]);
  const other = {
    ...manifest,
    version: "0.0.9",
    repository: { url: "git+https://example.org/x.git" },
    scripts: { postinstall: "true" },
  };
  const bad = { ...good, manifest: JSON.stringify(other), paths: paths.slice(1) };
  expect(packageProblems({ ...bad, bill: '{"components": []}' }, own, ["linux-x64"])).toEqual(
    [
      `version is 0.0.9, expected ${version}`,
      `repository is git+https://example.org/x.git, expected ${repository.url}`,
      `file is ${file}, expected p-0.0.9.tgz`,
      "it has the script postinstall",
      "CHANGELOG.md is not in it",
      "it has no native parts for linux-x64",
      "@s/d@1.0.0 is not in its bill of materials",
    ].map((problem) => `${file}: ${problem}`),
  );
  expect(packageProblems({ ...good, bill: undefined }, own, [])).toEqual([
    `${file}: its bill of materials is missing`,
  ]);
});

test("the workflow that publishes verifies first, pins its actions, and has no more than it needs", () => {
  const workflow = parse(readFileSync(".github/workflows/release.yml", "utf8")) as {
    permissions: unknown;
    jobs: {
      release: { permissions: unknown; steps: { uses?: string; run?: string; if?: string }[] };
    };
  };
  const { permissions, steps } = workflow.jobs.release;
  expect(workflow.permissions).toEqual({ contents: "read" });
  const write = { contents: "write", "id-token": "write", attestations: "write" };
  expect(permissions).toEqual(write);
  for (const { uses } of steps) {
    if (uses !== undefined) expect(uses).toMatch(/^actions\/[a-z-]+@[0-9a-f]{40}$/);
  }
  const at = (text: string) => steps.findIndex(({ run }) => run?.includes(text));
  expect(at("make release-verify ARGS=--strict")).toBeGreaterThan(at("make release-dry-run"));
  expect(at("npm publish")).toBeGreaterThan(at("make release-verify"));
  const publishing = steps[at("npm publish")];
  expect(publishing?.run).toContain("--provenance");
  expect(publishing?.if).toBe("github.event_name == 'push'");
});
