/** The files of the generated sequences: one sequence a line, as JSON. */
import { generate } from "./generate.js";

const FILES = 10;
const SEQUENCES_PER_FILE = 20;

/** Returns the files' texts by name. */
export function generatedFiles(): Map<string, string> {
  const files = new Map<string, string>();
  for (let file = 0; file < FILES; file++) {
    const first = file * SEQUENCES_PER_FILE + 1;
    const seeds = Array.from({ length: SEQUENCES_PER_FILE }, (_, index) => first + index);
    const lines = seeds.map((seed) => `${JSON.stringify(generate(seed))}\n`);
    files.set(`${String(file + 1).padStart(2, "0")}.ndjson`, lines.join(""));
  }
  return files;
}
