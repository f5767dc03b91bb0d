/** The exceptions of a foreign suite: a text file with a reason above each group of its cases. */
import { readFileSync } from "node:fs";

/**
 * The reason of each case, or pattern of cases. Groups are set apart by empty lines; a group of
 * comments alone is a remark on the file. Throws when a case has no reason, or stands there twice.
 */
export function readKnownFailing(path: string): ReadonlyMap<string, string> {
  const reasons = new Map<string, string>();
  for (const group of readFileSync(path, "utf8").split(/\n\s*\n/)) {
    const lines = group
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "");
    const isComment = (line: string) => line.startsWith("#");
    const reason = lines.filter(isComment).map((line) => line.slice(1).trim());
    for (const name of lines.filter((line) => !isComment(line))) {
      if (reason.length === 0) throw new Error(`${path}: ${name} has no reason above it`);
      if (reasons.has(name)) throw new Error(`${path}: ${name} stands there twice`);
      reasons.set(name, reason.join(" "));
    }
  }
  return reasons;
}
