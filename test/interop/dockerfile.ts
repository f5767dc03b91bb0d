/** Reads a Dockerfile, and follows its `COPY` lines without an engine. */
import { cpSync, existsSync } from "node:fs";
import { basename, join } from "node:path";

export interface Stage {
  /** Empty for the last one. */
  name: string;
  instructions: { word: string; text: string }[];
}

/** Continued lines joined, comments dropped. */
export function parseDockerfile(text: string): Stage[] {
  const lines = text
    .replaceAll(/^\s*#.*\n/gm, "")
    .replaceAll(/\\\n\s*/g, "")
    .split("\n");
  const stages: Stage[] = [];
  for (const line of lines.filter((each) => each.trim() !== "")) {
    const [, word = "", rest = ""] = /^(\w+)\s+(.*)$/.exec(line) ?? [];
    if (word === "FROM")
      stages.push({ name: / AS (\w+)$/.exec(rest)?.[1] ?? "", instructions: [] });
    else stages.at(-1)?.instructions.push({ word, text: rest });
  }
  return stages;
}

/** The arguments of each instruction of this kind. */
export function textsOf({ instructions }: Stage, word: string): string[] {
  return instructions.flatMap((each) => (each.word === word ? [each.text] : []));
}

/** What each `ENV` and `NAME=value` of it sets. */
export function environmentOf(stage: Stage): Record<string, string> {
  const pairs = textsOf(stage, "ENV").flatMap((text) => text.split(/\s+/));
  return Object.fromEntries(pairs.map((pair) => pair.split("=", 2)));
}

/** A program and its arguments, as in `CMD ["node", "main.js"]`. */
export function execForm(text: string): string[] {
  return JSON.parse(text.slice(text.indexOf("["))) as string[];
}

/** Copies what the stage's `COPY` lines name into `folder`, its `/app`; throws on what is missing. */
export function followCopies(
  stage: Stage,
  folder: string,
  context: string,
  stages: Map<string, string>,
) {
  for (const text of textsOf(stage, "COPY")) {
    const [, from, list = ""] = /^(?:--from=(\w+)\s+)?(.*)$/.exec(text) ?? [];
    const paths = list.split(/\s+/);
    const destination = paths.pop() ?? "";
    const source = from === undefined ? context : stages.get(from);
    if (source === undefined) throw new Error(`there is no stage ${from}`);
    for (const path of paths) {
      const inside = from === undefined ? path : path.replace(/^\/app\//, "");
      const found = join(source, inside);
      if (!existsSync(found)) throw new Error(`COPY ${text}: ${inside} is not there`);
      const target = destination.endsWith("/") ? join(destination, basename(path)) : destination;
      cpSync(found, join(folder, target), { recursive: true, verbatimSymlinks: true });
    }
  }
}

/** What a `.dockerignore` that begins with `*` lets through. */
export function allowedByDockerignore(text: string): string[] {
  const [first, ...rest] = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  if (first !== "*" || !rest.every((line) => /^![\w./-]+$/.test(line)))
    throw new Error("expected * and then what is let through");
  return rest.map((line) => line.slice(1));
}
