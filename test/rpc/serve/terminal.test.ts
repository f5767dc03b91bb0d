/** `serve` on a terminal: what the user types, stops or closes. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { isRunning } from "../../../tools/harness/processes/processes.js";
import { MAIN } from "../../helpers/command-line.js";
import { ServedPlace, until } from "./served.js";

const CTRL_C = "\u0003";
const CTRL_BACKSLASH = "\u001c";
const CTRL_S = "\u0013";
const CTRL_Q = "\u0011";

const started: ChildProcess[] = [];
const pids: number[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
  for (const pid of pids.splice(0).filter(isRunning)) process.kill(pid, "SIGKILL");
});

/** Runs a command of lean-aggregator on a terminal of its own. */
async function onTerminal(...args: readonly string[]) {
  const script = ["test/rpc/serve/terminal.py", process.execPath, MAIN, ...args];
  const child = spawn("python3", script, {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, TERM: "xterm" },
  });
  started.push(child);
  let shown = "";
  let reported = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (shown += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (reported += text));
  await until("the command runs", () => reported.includes("\n"));
  const pid = Number.parseInt(reported, 10);
  pids.push(pid);
  return {
    pid,
    shown: () => shown,
    /** Types keys; resolves when the terminal has taken them. */
    type: async (keys: string) => {
      const before = reported.length;
      child.stdin.write(keys);
      await until("it is typed", () => reported.includes("typed", before));
    },
    close: () => void child.stdin.end(),
    /** The exit code, once it has ended. */
    exitCode: async () => {
      await until("the command ends", () => /^ended .*\n/m.test(reported));
      return Number(/^ended (.*)$/m.exec(reported)?.[1]);
    },
  };
}

async function serveOnTerminal() {
  const place = new ServedPlace();
  const terminal = await onTerminal("serve", ...place.flags);
  await place.ready();
  await until("it logs", () => terminal.shown().includes("prover ready"));
  return { place, terminal };
}

test("the log is for people", async () => {
  const { terminal } = await serveOnTerminal();
  expect(terminal.shown()).toMatch(/\[\d\d:\d\d:\d\d\.\d{3}\] .*INFO.*listening/);
  expect(terminal.shown()).not.toContain('{"level"');
});

test.each([
  ["Ctrl-C", CTRL_C],
  ["Ctrl-backslash", CTRL_BACKSLASH],
])("%s drains the service", async (_name, key) => {
  const { terminal } = await serveOnTerminal();
  await terminal.type(key);
  expect(await terminal.exitCode()).toBe(0);
  expect(terminal.shown()).toContain("closed");
});

test("stopped by Ctrl-S: the service goes on, and ends when reported; Ctrl-Q shows what waited", async () => {
  const { place, terminal } = await serveOnTerminal();
  await terminal.type(CTRL_S);
  // More than a terminal keeps.
  for (let at = 0; at < 100; at++) {
    process.kill(terminal.pid, "SIGHUP");
    expect(await place.isLive()).toBe(true);
  }
  expect(terminal.shown()).not.toContain("nothing to reload");
  await terminal.type(CTRL_Q);
  await until("it shows", () => terminal.shown().includes("nothing to reload"));
  await terminal.type(CTRL_S);
  await delay(100);
  process.kill(terminal.pid, "SIGTERM");
  expect(await terminal.exitCode()).toBe(0);
});

test("closed: the service goes on, and ends when reported", async () => {
  const { place, terminal } = await serveOnTerminal();
  terminal.close();
  await delay(300);
  process.kill(terminal.pid, "SIGHUP");
  expect(await place.isLive()).toBe(true);
  process.kill(terminal.pid, "SIGTERM");
  expect(await terminal.exitCode()).toBe(0);
});
