/**
 * `npm run lint:words` names every line with a private idiom for which there is a common term. The
 * idioms, with the term to use instead, are in `idioms.json`. Reads every text file in git that
 * people write.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { z } from "zod";

const idioms = z
  .array(z.strictObject({ pattern: z.string(), instead: z.string() }))
  .parse(JSON.parse(readFileSync("tools/words/idioms.json", "utf8")))
  .map(({ pattern, instead }) => ({ pattern: new RegExp(pattern, "i"), instead }));

const TEXTS =
  /\.(ts|mjs|cjs|js|md|proto|cc|c|h|py|go|rs|sh|yml|json|toml)$|(^|\/)(Makefile|Dockerfile)$/;
/** Paths of text that is generated, is test data, or has the idioms as examples. */
const NOT_WRITTEN_BY_HAND =
  /^(proto\/(gen|image)|clients\/go\/gen|clients\/rust\/src\/proto|package-lock|test\/vectors|docs\/(devnet|schedule)\/report|tools\/(words|fuzz\/corpus)|test\/unit\/tools\/plain-words)/;

export interface Finding {
  place: string;
  idiom: string;
  instead: string;
}

/** Finds the idioms in one text, at most one in each line. */
export function findingsIn(path: string, text: string): Finding[] {
  return text.split("\n").flatMap((line, at) => {
    for (const { pattern, instead } of idioms) {
      const idiom = pattern.exec(line)?.[0];
      if (idiom !== undefined) return [{ place: `${path}:${at + 1}`, idiom, instead }];
    }
    return [];
  });
}

/** Finds the idioms in every text file in git, except those not written by hand. */
export function findings(): Finding[] {
  const tracked = execFileSync("git", ["ls-files"], { encoding: "utf8" }).split("\n");
  return tracked
    .filter((path) => TEXTS.test(path) && !NOT_WRITTEN_BY_HAND.test(path))
    .flatMap((path) => findingsIn(path, readFileSync(path, "utf8")));
}
