/** What is wrong with the files of a release, as far as they can be judged without a network. */
import { createHash } from "node:crypto";
import { z } from "zod";
import type { Manifest } from "./manifests.js";

export const CHECKSUMS = "SHA256SUMS";

/** One line of `sha256sum`: 64 hexadecimal digits, two blanks, a path. */
const CHECKSUM = /^([0-9a-f]{64}) {2}(?:\.\/)?(\S+)$/;

/** What is read of a package.json in a package. */
const packed = z.looseObject({
  name: z.string(),
  version: z.string(),
  license: z.string(),
  repository: z.looseObject({ url: z.string() }),
  scripts: z.record(z.string(), z.string()).default({}),
  dependencies: z.record(z.string(), z.string()),
});

const billSchema = z.looseObject({
  components: z
    .array(
      z.looseObject({
        group: z.string().optional(),
        name: z.string(),
        version: z.string().optional(),
      }),
    )
    .default([]),
});

/** A packed package: the name of its file, and what is in it. */
export interface PackedPackage {
  file: string;
  /** Text of its package.json. */
  manifest: string;
  /** Paths of its files. */
  paths: readonly string[];
  /** Text of the bill of materials beside it; undefined when it is missing. */
  bill: string | undefined;
}

/**
 * Holds the checksums against the files.
 *
 * @param sums text of SHA256SUMS; undefined when it is missing
 * @param files the bytes of each file of the release, by name
 */
export function checksumProblems(
  sums: string | undefined,
  files: ReadonlyMap<string, Uint8Array>,
): string[] {
  if (sums === undefined) return [`${CHECKSUMS} is missing`];
  const lines = sums.split("\n").filter((line) => line !== "");
  const listed = new Map<string, string>();
  const problems: string[] = [];
  for (const line of lines) {
    const [, digest, file] = CHECKSUM.exec(line) ?? [];
    if (digest === undefined || file === undefined) problems.push(`${CHECKSUMS} has ${line}`);
    else listed.set(file, digest);
  }
  for (const [file, digest] of listed) {
    const bytes = files.get(file);
    if (bytes === undefined) problems.push(`${file} is in ${CHECKSUMS}, and missing`);
    else if (sha256(bytes) !== digest) problems.push(`${file} has another SHA-256 than listed`);
  }
  const unlisted = [...files.keys()].filter((file) => !listed.has(file));
  return [...problems, ...unlisted.map((file) => `${file} is not in ${CHECKSUMS}`)];
}

/**
 * Holds a package against the checkout's package.json, and against its bill of materials.
 *
 * @param platforms the folders that `prebuilds` of this package must have; none for one without
 */
export function packageProblems(
  { file, manifest, paths, bill }: PackedPackage,
  own: Pick<Manifest, "version" | "license" | "repository">,
  platforms: readonly string[],
): string[] {
  const { name, version, license, repository, scripts, dependencies } = packed.parse(
    JSON.parse(manifest),
  );
  const problems: string[] = [];
  const differs = (what: string, found: string, expected: string) => {
    if (found !== expected) problems.push(`${what} is ${found}, expected ${expected}`);
  };
  differs("version", version, own.version);
  differs("license", license, own.license);
  // Provenance names the repository in which it was made; npm refuses a package of another one.
  differs("repository", repository.url, own.repository.url);
  differs("file", file, `${name}-${version}.tgz`);
  for (const script of Object.keys(scripts)) problems.push(`it has the script ${script}`);
  for (const path of ["CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "README.md"]) {
    if (!paths.includes(path)) problems.push(`${path} is not in it`);
  }
  for (const platform of platforms) {
    const isThere = paths.some((path) => path.startsWith(`prebuilds/${platform}/`));
    if (!isThere) problems.push(`it has no native parts for ${platform}`);
  }
  return [...problems, ...billProblems(bill, dependencies)].map((problem) => `${file}: ${problem}`);
}

function billProblems(
  bill: string | undefined,
  dependencies: Readonly<Record<string, string>>,
): string[] {
  if (bill === undefined) return ["its bill of materials is missing"];
  const { components } = billSchema.parse(parsed(bill));
  const listed = new Set(
    components.map(({ group, name, version }) => {
      const scope = group === undefined || group === "" ? "" : `${group}/`;
      return `${scope}${name}@${version}`;
    }),
  );
  return Object.entries(dependencies)
    .map(([name, version]) => `${name}@${version}`)
    .filter((each) => !listed.has(each))
    .map((each) => `${each} is not in its bill of materials`);
}

/** Nothing at all where the text is no JSON: then every dependency is missing in it. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
