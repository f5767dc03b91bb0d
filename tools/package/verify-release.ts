/**
 * `make release-verify`: judges the files of `make release-dry-run` in out/packages without a network:
 * checksums, what the packages say of themselves, and their bills of materials. With --strict the
 * native parts of each processor must be there.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { COMPILERS } from "./compilers.js";
import { CLIENT_NAME, parseManifest } from "./manifests.js";
import { CHECKSUMS, checksumProblems, packageProblems } from "./release-problems.js";

const OUT = join("out", "packages");

const textOf = (path: string) => (existsSync(path) ? readFileSync(path, "utf8") : undefined);

/** Paths, in `OUT`, of the packages and bills in one of its folders. */
function filesOfRelease(folder: string): string[] {
  if (!existsSync(join(OUT, folder))) return [];
  const names = readdirSync(join(OUT, folder)).filter((name) => /\.(tgz|json)$/.test(name));
  return names.map((name) => join(folder, name));
}

function tar(file: string, ...args: readonly string[]): string {
  return execFileSync("tar", [...args.slice(0, 1), join(OUT, file), ...args.slice(1)], {
    encoding: "utf8",
  });
}

function main(isStrict: boolean): number {
  const names = ["", "chart"].flatMap(filesOfRelease);
  const files = new Map(names.map((name) => [name, readFileSync(join(OUT, name))]));
  const problems = checksumProblems(textOf(join(OUT, CHECKSUMS)), files);
  const own = parseManifest(readFileSync("package.json", "utf8"));
  for (const name of ["lean-aggregator", CLIENT_NAME]) {
    const file = `${name}-${own.version}.tgz`;
    if (!files.has(file)) {
      problems.push(`${file} is missing; run 'make release-dry-run'`);
      continue;
    }
    const packed = {
      file,
      manifest: tar(file, "-xOzf", "package/package.json"),
      paths: tar(file, "-tzf")
        .split("\n")
        .map((path) => path.replace(/^package\//, "")),
      bill: textOf(join(OUT, `${name}-${own.version}.sbom.json`)),
    };
    const isNative = name !== CLIENT_NAME;
    const platforms = isNative && isStrict ? Object.keys(COMPILERS) : [];
    problems.push(...packageProblems(packed, own, platforms));
  }
  for (const problem of problems) process.stdout.write(`FAIL  ${problem}\n`);
  const count = `${files.size} files in ${OUT}`;
  if (problems.length === 0) process.stdout.write(`ok    ${count}: checksums, packages, bills\n`);
  return problems.length === 0 ? 0 : 1;
}

process.exitCode = main(process.argv.includes("--strict"));
