/** What a tool that is interrupted leaves behind: no process, and no folder. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, test, vi } from "vitest";
import { isRunning } from "../../../tools/harness/processes/processes.js";

const MODULES = join(process.cwd(), "dist/tools/harness/processes");
/** Has a folder and a process in a session of its own, which a terminal's signals do not reach. */
const PROGRAM = `
  import { spawn } from "node:child_process";
  import { endWithProcess, exitOnSignals } from "${MODULES}/end-with-process.js";
  import { processFolder } from "${MODULES}/process-folder.js";
  exitOnSignals();
  const { path } = processFolder("lean-end-");
  const idle = ["-e", "setInterval(() => undefined, 1000)"];
  const child = spawn(process.execPath, idle, { detached: true, stdio: "ignore" });
  endWithProcess(() => child.kill("SIGKILL"));
  endWithProcess(() => {
    throw new Error("one that fails keeps no other from its end");
  });
  console.log(JSON.stringify({ path, pid: child.pid }));
  process.stdin.resume();
`;

test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("%s is an exit", async (signal) => {
  const args = ["--input-type=module", "-e", PROGRAM];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "ignore"] });
  const exited = once(child, "exit");
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  const { path, pid } = JSON.parse(String(line)) as { path: string; pid: number };
  expect(existsSync(path)).toBe(true);
  child.kill(signal);
  expect(await exited).toEqual([128 + constants.signals[signal], null]);
  expect(existsSync(path)).toBe(false);
  await vi.waitUntil(() => !isRunning(pid), { timeout: 10_000 });
});
