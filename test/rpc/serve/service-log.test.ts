/** Whatever becomes of standard error, the service goes on, and ends at SIGTERM. */
import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, openSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { drainPipe, fullPipe } from "../../helpers/full-pipe.js";
import { MAIN } from "../../helpers/command-line.js";
import { ServedPlace, until } from "./served.js";

const { O_WRONLY } = constants;
const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
});

/** Runs `serve` by a shell, which sets its standard error up; `$0` is the command. */
function serveBy(place: ServedPlace, script: string, stderr: number | "ignore" = "ignore") {
  const command = ["-c", script, process.execPath, MAIN, "serve", ...place.flags];
  const child = spawn("bash", command, { stdio: ["ignore", "ignore", stderr] });
  started.push(child);
  return child;
}

/** The exit code after SIGTERM, and how long that took. */
async function stop(child: ChildProcess) {
  const startedMs = performance.now();
  child.kill("SIGTERM");
  const code = await new Promise<number | null>((resolve) => child.once("exit", resolve));
  return { code, ms: performance.now() - startedMs };
}

const messages = (text: string) =>
  text
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => (JSON.parse(line) as { msg: string }).msg);

test.each([
  ["a full disk", 'exec "$0" "$@" 2>/dev/full'],
  ["closed", 'exec "$0" "$@" 2>&-'],
  ["a pipe whose reader has gone", 'exec "$0" "$@" 2> >(exit)'],
  ["a file at the limit of ulimit -f", 'ulimit -f 0; exec "$0" "$@" 2>"$LOG"'],
])(
  "standard error is %s: the service goes on, and ends with exit code 0",
  async (_what, script) => {
    const place = new ServedPlace();
    const child = serveBy(place, script.replace("$LOG", join(place.folder, "log")));
    await place.ready();
    child.kill("SIGHUP");
    expect(await place.isLive()).toBe(true);
    expect((await stop(child)).code).toBe(0);
  },
);

test("nobody reads the log: the service goes on, and SIGTERM still ends it", async () => {
  const place = new ServedPlace();
  const { path } = fullPipe(place.folder);
  const child = serveBy(place, `exec "$0" "$@" 2>${path}`);
  await place.ready();
  expect(await place.isLive()).toBe(true);
  const { code, ms } = await stop(child);
  expect(code).toBe(0);
  expect(ms).toBeLessThan(5000);
});

test("a service that cannot start ends also when nobody reads why", async () => {
  const place = new ServedPlace();
  const { path } = fullPipe(place.folder);
  const child = serveBy(place, `exec "$0" "$@" --admin unix:/nowhere/socket 2>${path}`);
  expect(await once(child, "exit")).toEqual([2, null]);
});

test("another program has made the pipe blocking again: the service does not wait", async () => {
  const place = new ServedPlace();
  const { path, fd } = fullPipe(place.folder);
  const shared = openSync(path, O_WRONLY);
  const child = serveBy(place, 'exec "$0" "$@"', shared);
  await place.ready();
  // As a Node.js program does when it exits, if it was started before the service.
  const reset = "import fcntl; fcntl.fcntl(2, fcntl.F_SETFL, 0)";
  execFileSync("python3", ["-c", reset], { stdio: ["ignore", "ignore", shared] });
  child.kill("SIGHUP");
  expect(await place.isLive()).toBe(true);
  expect((await stop(child)).code).toBe(0);
  closeSync(shared);
  closeSync(fd);
});

test("the reader reads again: it gets the lines that waited, in order", async () => {
  const place = new ServedPlace();
  const { path, fd } = fullPipe(place.folder);
  const child = serveBy(place, `exec "$0" "$@" 2>${path}`);
  await place.ready();
  let text = "";
  await until("the log arrives", () => (text += drainPipe(fd)).includes("prover ready"));
  expect(messages(text).filter((msg) => msg.startsWith("listening"))).toHaveLength(1);
  expect((await stop(child)).code).toBe(0);
  expect(messages(drainPipe(fd)).at(-1)).toBe("closed");
  closeSync(fd);
});

test("a reader that is slow at the exit gets the last lines", async () => {
  const place = new ServedPlace();
  const { path, fd } = fullPipe(place.folder);
  const child = serveBy(place, `exec "$0" "$@" 2>${path}`);
  await place.ready();
  const stopped = stop(child);
  let text = "";
  await until("the last line arrives", () => (text += drainPipe(fd)).includes('"closed"'));
  expect((await stopped).code).toBe(0);
  closeSync(fd);
});

test("a log file has room again: the lines that waited follow, no line is cut", async () => {
  const place = new ServedPlace();
  const path = join(place.folder, "log");
  const child = serveBy(place, `ulimit -f 1; exec "$0" "$@" 2>>${path}`);
  await place.ready();
  // 1 KiB or 512 bytes: each SIGHUP adds a line of more than 100 bytes.
  for (let at = 0; at < 20; at++) {
    child.kill("SIGHUP");
    await place.isLive();
  }
  const before = readFileSync(path, "utf8");
  truncateSync(path);
  await until("lines follow", () => readFileSync(path, "utf8") !== "");
  const after = readFileSync(path, "utf8");
  const lines = `${before}${after}`.split("\n").slice(0, -1);
  expect(lines.map((line) => messages(line).length)).toEqual(lines.map(() => 1));
  expect((await stop(child)).code).toBe(0);
});

test("an error that ends the process while nobody reads the log ends it all the same", async () => {
  const place = new ServedPlace();
  const { path, fd } = fullPipe(place.folder);
  const crash = join(place.folder, "crash.mjs");
  const planted = `
    process.on("SIGALRM", () => {
      throw Object.assign(new Error("planted"), { process, cause: new Error("a cause") });
    });
    process.on("SIGVTALRM", () => {
      process.emitWarning("planted warning");
      process.emitWarning(Object.assign(new Error("one more"), { emitter: process }));
      process.emitWarning("old", "DeprecationWarning", "DEP0000");
      for (let at = 0; at < 20; at++) process.on("planted", () => undefined);
    });`;
  writeFileSync(crash, planted);
  const child = serveBy(place, `PLANTED=secret exec "$0" --import ${crash} "$@" 2>${path}`);
  await place.ready();
  child.kill("SIGVTALRM");
  expect(await place.isLive()).toBe(true);
  let text = "";
  const exited = once(child, "exit");
  child.kill("SIGALRM");
  await until("the error arrives", () => (text += drainPipe(fd)).includes("unexpected error"));
  expect(await exited).toEqual([1, null]);
  expect(messages(text)).toEqual(
    expect.arrayContaining(["warning of Node.js", "unexpected error; the service ends"]),
  );
  for (const part of ["planted", "a cause", "one more", "DEP0000", "MaxListenersExceeded"])
    expect(text).toContain(part);
  // Of the process and its environment, which some warnings hold, the log says nothing.
  expect(text).not.toContain("secret");
  closeSync(fd);
});
