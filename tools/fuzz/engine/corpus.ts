/** Inputs on disk: one file each, named by its content, in a folder for each target. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Finding } from "./fuzzer.js";
import { nameOf } from "./fuzzer.js";

/** Committed. Tests and runs begin in the package's root, as sources or compiled. */
export const CORPUS = "tools/fuzz/corpus";

export function readCorpus(folder: string, target: string): Uint8Array[] {
  const path = join(folder, target);
  if (!existsSync(path)) return [];
  const names = readdirSync(path).sort();
  return names.map((name) => new Uint8Array(readFileSync(join(path, name))));
}

export function keepInput(folder: string, target: string, input: Uint8Array): void {
  const path = join(folder, target);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, nameOf(input)), input);
}

/** Writes the input and what is wrong with it; returns the command that runs it again. */
export function writeFinding(folder: string, target: string, { input, error }: Finding): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${target}-${nameOf(input)}`);
  const command = `make fuzz TARGET=${target} INPUT=${path}.bin`;
  writeFileSync(`${path}.bin`, input);
  writeFileSync(`${path}.txt`, `${command}\n\n${error}\n`);
  return command;
}
