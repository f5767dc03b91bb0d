/** Reads pip requirement files of the one form this project uses: pinned, with hashes. */
export interface Requirement {
  name: string;
  version: string;
  /** In hexadecimal, one for each file that is published of this version. */
  sha256: string[];
}

/** Throws on a line that is not `name==version`, with any number of `--hash=sha256:`. */
export function parseRequirements(text: string): Requirement[] {
  const lines = text
    .replaceAll(/#.*/g, "")
    .replaceAll(/\\\n/g, " ")
    .split("\n")
    .map((line) => line.trim());
  return lines
    .filter((line) => line !== "")
    .map((line) => {
      const [requirement = "", ...options] = line.split(/\s+/);
      const [, name, version] = /^([\w.-]+)==([\w.]+)$/.exec(requirement) ?? [];
      const sha256 = options.map((option) => /^--hash=sha256:([0-9a-f]{64})$/.exec(option)?.[1]);
      const hashes = sha256.flatMap((hash) => hash ?? []);
      if (name === undefined || version === undefined || hashes.length < options.length) {
        throw new Error(`not a pinned requirement: ${line}`);
      }
      return { name, version, sha256: hashes };
    });
}
