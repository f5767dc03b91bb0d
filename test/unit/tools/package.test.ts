/** What the packages of service and client say of themselves. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  clientManifest,
  parseManifest,
  serviceManifest,
} from "../../../tools/package/manifests.js";
import { reachableFrom } from "../../../tools/package/reachable.js";
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
