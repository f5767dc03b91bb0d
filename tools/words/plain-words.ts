/**
 * `npm run lint` names every line that uses a private idiom where the field has a word: the list is
 * `idioms.json`, with the word to use instead. Reads every tracked text but generated ones.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { z } from "zod";

const idioms = z
  .array(z.strictObject({ pattern: z.string(), instead: z.string() }))
  .parse(JSON.parse(readFileSync("tools/words/idioms.json", "utf8")))
  .map(({ pattern, instead }) => ({ pattern: new RegExp(pattern, "i"), instead }));

const TEXTS = /\.(ts|mjs|cjs|js|md|proto|cc|c|h|py|yml|json|toml)$|(^|\/)(Makefile|Dockerfile)$/;
/** Generated, or data of tests. */
const NOT_WRITTEN_BY_HAND =
  /^(proto\/(gen|image)|package-lock|test\/vectors|docs\/(devnet|schedule)\/report|tools\/(words|fuzz\/corpus)|test\/unit\/tools\/plain-words)/;

export interface Finding {
  place: string;
  idiom: string;
  instead: string;
}

/** The idioms in one text, at most one a line. */
export function findingsIn(path: string, text: string): Finding[] {
  return text.split("\n").flatMap((line, at) => {
    for (const { pattern, instead } of idioms) {
      const idiom = pattern.exec(line)?.[0];
      if (idiom !== undefined) return [{ place: `${path}:${at + 1}`, idiom, instead }];
    }
    return [];
  });
}

/** The idioms in every tracked text. */
export function findings(): Finding[] {
  const tracked = execFileSync("git", ["ls-files"], { encoding: "utf8" }).split("\n");
  return tracked
    .filter((path) => TEXTS.test(path) && !NOT_WRITTEN_BY_HAND.test(path))
    .flatMap((path) => findingsIn(path, readFileSync(path, "utf8")));
}
