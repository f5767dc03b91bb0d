/**
 * What a fuzz target is: one file in `targets/` that exports `target`, and well-formed inputs to
 * start from. Everything else (mutation, corpus, replay, `make fuzz`) is the engine's.
 */
import { readdirSync } from "node:fs";
import type { Random } from "../../sim/random.js";

export interface FuzzTarget {
  /** Names it on the command line, its corpus folder and its findings. */
  name: string;
  /** Longer inputs are cut. */
  bytesMax: number;
  /**
   * An input is slow when it takes longer than this, and longer than `msPerKb` for its size, in
   * milliseconds, however often it is tried.
   */
  msMax: number;
  msPerKb: number;
  /** Well-formed inputs, beside those of the corpus folder. */
  seeds(): Uint8Array[];
  /** Changes the input along its structure; without it, bytes are changed blindly. */
  mutate?(input: Uint8Array, random: Random): Uint8Array;
  open(): FuzzRun | Promise<FuzzRun>;
}

export interface FuzzRun {
  /** Throws, or rejects, when a property does not hold for this input. */
  run(input: Uint8Array): void | Promise<void>;
  close?(): Promise<void>;
}

/** A property that does not hold. */
class PropertyError extends Error {
  override readonly name = "PropertyError";
}

export function holds(condition: boolean, property: string): asserts condition {
  if (!condition) throw new PropertyError(property);
}

export interface NamedModule {
  target: FuzzTarget;
  /** URL, for threads that load it by themselves. */
  module: string;
}

/** Every target of the folder and those below, in order of path; `.ts` under vitest, `.js` when compiled. */
export async function loadTargets(
  folder = new URL("../targets/", import.meta.url),
): Promise<NamedModule[]> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  const files = names.filter((name) => /(?<!\.d)\.[jt]s$/.test(name));
  const modules = files.sort().map(async (name) => {
    const module = new URL(name, folder).href;
    const { target } = (await import(/* @vite-ignore */ module)) as { target: FuzzTarget };
    return { target, module };
  });
  return Promise.all(modules);
}
