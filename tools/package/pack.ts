/**
 * `make packages`: packs the service, with its native parts compiled, and the client, which has none, into
 * out/packages. Nothing is published.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { COMPILERS } from "./compilers.js";
import type { Manifest } from "./manifests.js";
import { CLIENT_NAME, clientManifest, parseManifest, serviceManifest } from "./manifests.js";
import { reachableFrom } from "./reachable.js";

const ROOT = process.cwd();
const OUT = join(ROOT, "out", "packages");
const LICENCES = ["LICENSE-APACHE", "LICENSE-MIT"];

/** Copies paths of the checkout into the folder of a package, and packs it. */
function pack(name: string, manifest: Manifest, paths: readonly string[]): void {
  const folder = join(OUT, name);
  for (const path of ["CHANGELOG.md", ...LICENCES, ...paths]) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    cpSync(join(ROOT, path), join(folder, path), { recursive: true });
  }
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  const args = ["pack", "--silent", "--ignore-scripts", "--pack-destination", OUT];
  const file = execFileSync("npm", args, { cwd: folder, encoding: "utf8" }).trim();
  process.stdout.write(`${join(OUT, file)}\n`);
}

/** Compiles the native parts for each processor whose compiler is installed. */
function compileInto(folder: string): void {
  for (const [platform, compiler] of Object.entries(COMPILERS)) {
    const isOwn = platform === `${process.platform}-${process.arch}`;
    const cxx = isOwn ? (process.env["CXX"] ?? "c++") : compiler;
    if (spawnSync(cxx, ["--version"], { stdio: "ignore" }).status !== 0) {
      process.stdout.write(`${platform} is left out: ${cxx} is not installed\n`);
      continue;
    }
    execFileSync(process.execPath, ["native/build.mjs", "--into", join(folder, platform)], {
      stdio: "inherit",
      env: { ...process.env, CXX: cxx },
    });
  }
}

function main(): void {
  const manifest = parseManifest(readFileSync("package.json", "utf8"));
  rmSync(OUT, { recursive: true, force: true });
  const service = serviceManifest(manifest);
  compileInto(join(OUT, "lean-aggregator", "prebuilds"));
  const missing = manifest.files.find((path) => !existsSync(join(ROOT, path)));
  if (missing !== undefined) throw new Error(`${missing} is missing; run 'make build'`);
  pack("lean-aggregator", service, [...manifest.files, "README.md"]);

  const entries = ["dist/client/index.js", "dist/proto/gen/lean/aggregator/v1/aggregator_pb.js"];
  const { files, packages } = reachableFrom(ROOT, entries);
  const folder = join(OUT, CLIENT_NAME);
  mkdirSync(folder, { recursive: true });
  cpSync(join(ROOT, "client", "PROTOCOL.md"), join(folder, "PROTOCOL.md"));
  cpSync(join(ROOT, "tools", "package", "client-readme.md"), join(folder, "README.md"));
  pack(CLIENT_NAME, clientManifest(manifest, packages), [...files, "proto/lean/aggregator"]);
}

main();
