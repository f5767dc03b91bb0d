/** Completion: the words that fit, and the scripts in the shells that they are for. */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { completionsOf, nameAskedFor } from "../../../cli/completion.js";
import { createProgram } from "../../../cli/program.js";
import { fakeTerminal, MAIN } from "../../helpers/command-line.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";
import { hasProgram } from "../../interop/interop-tools.js";

const terminal = fakeTerminal();
const program = createProgram({
  env: {},
  terminal,
  version: "1",
  nodeRange: ">=20",
  interrupted: () => new AbortController().signal,
  signals: { listen: () => undefined },
  exit: () => undefined,
});

test.each([
  ["a command", ["sub"], ["submit"]],
  ["tune", ["tu"], ["tune"]],
  ["plan", ["pl"], ["plan"]],
  ["the goals of tune", ["tune", "--goal", ""], ["latency", "throughput", "balanced"]],
  ["the goals of plan", ["plan", "--goal", ""], ["safe-target", "accept"]],
  ["a command below a command", ["admin", "d"], ["drain"]],
  ["a flag", ["submit", "--out"], ["--out"]],
  ["the flags of a command below a command", ["admin", "drain", "--w"], ["--wait"]],
  [
    "a flag of the command that runs when no other is named",
    ["config", "check", "--conf"],
    ["--config"],
  ],
  ["the values of a flag of that command", ["config", "check", "--log-level", "s"], ["silent"]],
  ["the values of a flag", ["serve", "--prover", ""], ["lean_pq", "fake"]],
  ["the values of a flag that have a beginning", ["serve", "--log-level", "s"], ["silent"]],
  ["the values of an argument", ["completion", ""], ["bash", "zsh", "fish"]],
  ["a value after a flag without one", ["completion", "--help", "z"], ["zsh"]],
  ["nothing for a file", ["submit", ""], []],
  ["nothing for the file of a flag", ["submit", "--out", "s"], []],
  ["nothing for the file of a flag at the top", ["serve", "--config", ""], []],
  ["a flag after a flag's file", ["submit", "--out", "o", "s.json", "--jso"], ["--json"]],
  ["nothing beyond the last argument", ["submit", "s.json", "s"], []],
])("%s is completed", (_what, words, expected) => {
  expect(completionsOf(program, words).map(({ word }) => word)).toEqual(expected);
});

const here = { server: undefined, tokenFile: undefined };
test.each([
  ["a device", ["admin", "drain", "c"], { ...here, kind: "device" }],
  ["a session", ["admin", "end", ""], { ...here, kind: "session" }],
  [
    "a device of the service that the flags name",
    ["admin", "restart", "--server=h:1", "--token-file", "t", ""],
    { kind: "device", server: "h:1", tokenFile: "t" },
  ],
  [
    "a node, not at the listener of nodes",
    ["watch", "--server", "h:1", "--node", ""],
    { ...here, kind: "node" },
  ],
  ["no flag", ["admin", "drain", "--"], undefined],
  ["no value of another flag", ["admin", "drain", "--server", ""], undefined],
  ["no file", ["submit", ""], undefined],
  ["no second device", ["admin", "drain", "cpu", ""], undefined],
])("%s is asked of the service", (_what, words, expected) => {
  expect(nameAskedFor(program, words)).toEqual(expected);
});

test("every command and its flags are offered with what they do, hidden ones are not", () => {
  const commands = completionsOf(program, [""]);
  expect(commands.map(({ word }) => word)).not.toContain("complete");
  for (const { word, text } of commands) {
    expect(text, word).not.toBe("");
    for (const flag of completionsOf(program, [word, "-"])) {
      expect(flag.text, flag.word).toMatch(/^(?!.*default: )./);
    }
  }
});

const isMissing = (shell: string) => !hasProgram(shell, "-c", "exit 0");

async function scriptFor(shell: string): Promise<string> {
  terminal.stdout = "";
  await program.parseAsync(["completion", shell], { from: "user" });
  return terminal.stdout;
}

for (const shell of ["bash", "zsh", "fish"]) {
  // A machine may have no zsh or fish; bash is everywhere where this project builds.
  test.skipIf(shell !== "bash" && isMissing(shell))(`${shell} accepts its script`, async () => {
    const path = join(temporaryFolder(), "completion");
    writeFileSync(path, await scriptFor(shell));
    const ran = spawnSync(shell, ["-n", path], { encoding: "utf8" });
    expect([ran.status, ran.stderr]).toEqual([0, ""]);
  });
}

/** What bash offers for the last of the words when it runs the script and the compiled program. */
async function completeInBash(...words: string[]): Promise<string[]> {
  const folder = join(temporaryFolder(), "bin");
  mkdirSync(folder);
  const executable = join(folder, "lean-aggregator");
  writeFileSync(executable, `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
  chmodSync(executable, 0o755);
  const script = `${await scriptFor("bash")}
COMP_WORDS=(lean-aggregator ${words.map((word) => `'${word}'`).join(" ")})
COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
COMP_LINE="\${COMP_WORDS[*]}"
COMP_POINT=\${#COMP_LINE}
_lean_aggregator
printf '%s\\n' "\${COMPREPLY[@]}"
complete -p lean-aggregator`;
  const env = { PATH: `${folder}:${process.env["PATH"] ?? ""}` };
  const ran = spawnSync("bash", ["--norc", "-c", script], { encoding: "utf8", env });
  expect(ran.stderr).toBe("");
  return ran.stdout.split("\n").filter((word) => word !== "");
}

const REGISTERED = "complete -o default -F _lean_aggregator lean-aggregator";

test("bash completes commands below commands, flags and values with the program itself", async () => {
  expect(await completeInBash("admin", "dr")).toEqual(["drain", REGISTERED]);
  expect(await completeInBash("serve", "--probe")).toEqual(["--probes", REGISTERED]);
  expect(await completeInBash("serve", "--standby", "")).toEqual(["auto", "0", "1", REGISTERED]);
});

test("bash gets no words for a file, and then completes files itself", async () => {
  expect(await completeInBash("submit", "")).toEqual([REGISTERED]);
});

test("what is typed is never run", async () => {
  expect(await completeInBash("submit", "$(echo x >&2)", "--jso")).toEqual(["--json", REGISTERED]);
});
