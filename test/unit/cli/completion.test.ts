/** The completion scripts, run by the shells that they are for. */
import { spawnSync } from "node:child_process";
import { Argument, Command, Option } from "commander";
import { expect, test } from "vitest";
import { completionScript, SHELLS } from "../../../cli/completion.js";
import { hasProgram } from "../../interop/interop-tools.js";

const program = new Command("lean-tool");
program
  .command("send")
  .summary("the node's [own]: send it")
  .argument("<file>")
  .option("--json", "for machines")
  .addOption(
    new Option("--mode <name>", "which (default: slow, env: MODE)").choices(["slow", "swift"]),
  )
  .option("--out <file>", "where");
program
  .command("pick")
  .summary("pick one")
  .addArgument(new Argument("<what>").choices(["a", "b"]));

const isMissing = (shell: string) => !hasProgram(shell, "-c", "exit 0");

test.each(SHELLS)("%s accepts its script", (shell) => {
  // Not every machine has the three shells; what is missing is left to one that has it.
  if (isMissing(shell)) return;
  const script = completionScript(program, shell);
  const ran = spawnSync(shell, ["-n"], { input: script, encoding: "utf8" });
  expect([ran.status, ran.stderr]).toEqual([0, ""]);
});

/** What bash would offer for the last of the words. */
function complete(...words: string[]): string[] {
  const script = `${completionScript(program, "bash")}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")})
COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
_lean_tool
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const ran = spawnSync("bash", ["-c", script], { encoding: "utf8" });
  return ran.stdout.split("\n").filter((word) => word !== "");
}

test.skipIf(isMissing("bash")).each([
  ["a subcommand", ["lean-tool", "se"], ["send"]],
  ["flags", ["lean-tool", "send", "--"], ["--json", "--mode", "--out", "--help"]],
  ["the choices of a flag", ["lean-tool", "send", "--mode", "s"], ["slow", "swift"]],
  ["the choices of an argument", ["lean-tool", "pick", ""], ["a", "b"]],
  ["nothing of its own for a file, which leaves it to bash", ["lean-tool", "send", ""], []],
  ["nothing of its own for a flag's file", ["lean-tool", "send", "--out", ""], []],
])("bash completes %s", (_what, words, expected) => {
  expect(complete(...words)).toEqual(expected);
});

test("no script speaks of defaults, and each names every flag", () => {
  for (const shell of SHELLS) {
    const script = completionScript(program, shell);
    expect(script, shell).not.toContain("default:");
    for (const flag of ["json", "mode", "out"]) expect(script, shell).toContain(flag);
  }
});
