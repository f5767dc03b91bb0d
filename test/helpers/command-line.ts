/** The compiled command line as a child process, and a terminal that keeps what is printed. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import type { Terminal } from "../../cli/io/command.js";
import { runProgram } from "../../cli/program.js";
import type { Ran, RunOptions } from "../interop/interop-tools.js";
import { run } from "../interop/interop-tools.js";
import { temporaryFolder } from "./temporary-folder.js";

export const MAIN = join(process.cwd(), "dist/cli/main.js");

/** A file's path in a fresh folder. */
export const freshPath = (name: string) => join(temporaryFolder(), name);

/** Runs `lean-aggregator` to its end. */
export function commandLine(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return run(process.execPath, [MAIN, ...args], options);
}

/** Runs `lean-aggregator` to its end inside this process, which takes milliseconds. */
export async function commandInProcess(
  args: readonly string[],
  stdin = "",
  interrupted: AbortSignal = new AbortController().signal,
): Promise<Ran> {
  const terminal = fakeTerminal(false, stdin);
  const code = await new Promise<number>((resolve) => {
    void runProgram(args, {
      env: process.env,
      terminal,
      version: "test",
      nodeRange: ">=20.19",
      interrupted: () => interrupted,
      signals: { listen: () => undefined },
      exit: resolve,
    });
  });
  return { code, stdout: terminal.stdout, stderr: terminal.stderr };
}

export interface Interruption {
  env?: Record<string, string>;
  cwd?: string;
  /** Sent once what was printed matches `when`. */
  signal: "SIGINT" | "SIGTERM";
  when: RegExp;
}

/** Runs a program that does not end by itself. */
export function runUntil(program: string, args: readonly string[], until: Interruption) {
  const { env = {}, cwd = process.cwd(), signal, when } = until;
  return new Promise<Ran>((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    const ran: Ran = { code: null, stdout: "", stderr: "" };
    let isSent = false;
    const look = () => {
      if (!isSent && when.test(ran.stdout + ran.stderr)) isSent = child.kill(signal);
    };
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      ran.stdout += text;
      look();
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      ran.stderr += text;
      look();
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ ...ran, code }));
  });
}

/** A terminal whose texts are kept; `stdin` is what is typed. */
export function fakeTerminal(isErrTty = false, stdin = "") {
  const terminal = {
    stdout: "",
    stderr: "",
    isErrTty,
    out: (text: string) => void (terminal.stdout += text),
    outUntil: (text: string) => Promise.resolve(terminal.out(text)),
    err: (text: string) => void (terminal.stderr += text),
    readStdin: () => Promise.resolve(new TextEncoder().encode(stdin)),
  };
  return terminal satisfies Terminal;
}
