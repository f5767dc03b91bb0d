/**
 * Every block of code of every document can be right: shell lines name commands, flags and files that
 * exist, JSON and YAML parse, TypeScript compiles, Go, Rust and C have valid syntax.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { z } from "zod";
import { commandHelps } from "../../../tools/reference/cli-doc.js";
import type { CodeBlock } from "../../../tools/site/document.js";
import { parseDocument } from "../../../tools/site/document.js";
import { hasProgram } from "../../interop/interop-tools.js";
import { typeErrors } from "./type-errors.js";

interface Found extends CodeBlock {
  path: string;
  place: string;
}

const paths = execFileSync("git", ["ls-files", "*.md"], { encoding: "utf8" }).trim().split("\n");
const blocks = paths.flatMap((path): Found[] =>
  parseDocument(readFileSync(path, "utf8")).blocks.map((block) => ({
    ...block,
    path,
    place: `${path}:${block.line}`,
  })),
);
const of = (...languages: string[]) =>
  blocks.filter(({ language }) => languages.includes(language));

test("every block is of a language that is checked here, or plain text", () => {
  const known = ["sh", "json", "yaml", "ts", "go", "rust", "c", "text"];
  expect(blocks.filter(({ language }) => !known.includes(language))).toEqual([]);
  expect(of("sh").length).toBeGreaterThan(50);
});

describe("shell", () => {
  const helps = new Map(commandHelps().map(({ name, help }) => [name, help]));
  const { scripts } = z
    .object({ scripts: z.record(z.string(), z.string()) })
    .parse(JSON.parse(readFileSync("package.json", "utf8")));

  /** What is wrong with a command line; empty when nothing is. */
  function faultOf(line: string): string {
    const words = line
      .replace(/(^|\s)#.*/, "")
      .trim()
      .split(/\s+/);
    const name = wordsOfProgram(words);
    if (name === undefined) return fileFault(words);
    let command = "lean-aggregator";
    let at = name;
    for (let next = words[at] ?? ""; helps.has(`${command} ${next}`); next = words[++at] ?? "")
      command += ` ${next}`;
    const isGroup = /^Commands:$/m.test(helps.get(command) ?? "");
    const isWord = /^[a-z][a-z-]+$/.test(words[at] ?? "");
    if (isGroup && isWord && words[at] !== "help") return `no command ${command} ${words[at]}`;
    const known: string[] = helps.get(command)?.match(/--[a-z][a-z-]*/g) ?? [];
    const flags = words.slice(at).filter((word) => word.startsWith("--") && word !== "--");
    const unknown = flags.find((flag) => !known.includes(flag.replace(/=.*/, "")));
    return unknown === undefined ? "" : `${command} has no ${unknown}`;
  }

  /** Index of the first word after the program's name, wherever the line has it. */
  function wordsOfProgram(words: readonly string[]): number | undefined {
    const at = words.findIndex((word) => /^(lean-aggregator|dist\/cli\/main\.js)$/.test(word));
    const before = words[at - 1] ?? "";
    const isCalled = at === 0 || /^(--|exec|npx|node|sudo|\$|\S+=\S*)$/.test(before);
    return at >= 0 && isCalled ? at + 1 : undefined;
  }

  /** Scripts of npm, and files of this repository that a line runs. */
  function fileFault(words: readonly string[]): string {
    const [program = "", first = "", second = ""] = words;
    if (program === "npm" && first === "run" && !(second.replace("--silent", "") in scripts))
      return `no script ${second}`;
    const ran = program === "node" || program === "bash" ? first : program;
    const isOurs = /^(tools|native|deploy|test|examples)\/\S+\.(sh|mjs)$/.test(ran);
    return isOurs && !existsSync(ran) ? `there is no ${ran}` : "";
  }

  /** The commands of a block: continued lines are one, pipes and lists are several. */
  const commandsIn = (text: string) =>
    text
      .replaceAll(/\\\n\s*/g, " ")
      .split(/\n|\||&&|;/)
      .map((line) => line.trim().replace(/^\$ /, ""))
      .filter((line) => line !== "");

  test.each(of("sh"))("$place: its commands, flags and files exist", ({ text }) => {
    expect(
      commandsIn(text)
        .map(faultOf)
        .filter((fault) => fault !== ""),
    ).toEqual([]);
  });

  test("an unknown command, flag, script and file are found out", () => {
    expect(faultOf("lean-aggregator admin drian gpu0")).toContain("no command");
    expect(faultOf("node dist/cli/main.js submit x.json --dead-line 3")).toContain(
      "no --dead-line",
    );
    expect(faultOf("npm run no-such")).toBe("no script no-such");
    expect(faultOf("tools/no-such.sh")).toBe("there is no tools/no-such.sh");
    expect(faultOf("lean-aggregator submit x.json --deadline-ms 3   # --no-flag")).toBe("");
  });

  test("all blocks are what a shell can read", () => {
    const faults = of("sh").flatMap(({ place, text }) => {
      const input = text.replaceAll(/^(\s*)\$ /gm, "$1");
      const { status, stderr } = spawnSync("bash", ["-n"], { input, encoding: "utf8" });
      return status === 0 ? [] : [`${place}: ${stderr}`];
    });
    expect(faults).toEqual([]);
  });
});

/** A block that leaves something out says so by an ellipsis. */
const isWhole = ({ text }: CodeBlock) => !text.includes("…");

test("JSON parses", () => {
  for (const { place, text } of of("json").filter(isWhole))
    expect(() => void JSON.parse(text), place).not.toThrow();
});

test("YAML parses", () => {
  for (const { place, text } of of("yaml"))
    for (const { errors } of parseAllDocuments(text)) expect(errors, place).toEqual([]);
});

test("TypeScript compiles, with what its page declares before it", () => {
  const found = of("ts");
  expect(found.length).toBeGreaterThan(1);
  expect(typeErrors(found)).toEqual([]);
});

test.skipIf(!hasProgram("gofmt", "-h"))("Go has valid syntax", () => {
  for (const { place, text } of of("go")) expect(read("gofmt", ["-e"], text), place).toBe("");
});

test.skipIf(!hasProgram("rustfmt", "--version"))("Rust has valid syntax", () => {
  for (const { place, text } of of("rust"))
    expect(read("rustfmt", ["--edition", "2021"], `fn block() {\n${text}\n}\n`), place).toBe("");
});

test.skipIf(!hasProgram("cc", "--version"))(
  "C compiles, with what its page declares before it",
  () => {
    const flags = [
      "-fsyntax-only",
      "-x",
      "c",
      "-Iclients/rust/ffi/include",
      "-Inative/include",
      "-",
    ];
    for (const { place, text, declared } of of("c"))
      expect(read("cc", flags, `${declared}\nvoid block(void) {\n${text}\n}\n`), place).toBe("");
  },
);

/** What the program says of the text; empty when it takes it. */
function read(program: string, args: readonly string[], input: string): string {
  const { status, stderr } = spawnSync(program, args, { input, encoding: "utf8" });
  return status === 0 ? "" : stderr;
}
