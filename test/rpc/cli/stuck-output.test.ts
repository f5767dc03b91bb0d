/** Commands whose output nobody reads: one signal ends each, and an error does not hang. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, constants } from "node:fs";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import type { Service } from "../../../server/service.js";
import { MAIN } from "../../helpers/command-line.js";
import { fullPipe } from "../../helpers/full-pipe.js";
import { jsonFile, submitSnapshotJson } from "../../helpers/interop-json.js";
import { metricValue } from "../../helpers/metric-value.js";
import { startTestService } from "../../helpers/start-service.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";
import { catches, until } from "../serve/served.js";

let service: Service;
beforeAll(async () => {
  service = await startTestService(() =>
    startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() }),
  );
});
afterAll(() => service.close());

const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
});

/** Starts a command whose standard output (1) or error (2) is a pipe that is full. */
function startStuck(fd: 1 | 2, args: readonly string[]) {
  const pipe = fullPipe(temporaryFolder());
  const end = openSync(pipe.path, constants.O_WRONLY);
  const stdio = ["ignore", fd === 1 ? end : "ignore", fd === 2 ? end : "ignore"] as const;
  const env = { ...process.env, LEAN_AGGREGATOR_SERVER: service.addresses[0] ?? "" };
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: [...stdio], env });
  closeSync(end);
  started.push(child);
  return { child, exited: once(child, "exit") };
}

/** What the service counts of a command before that has something to print. */
const counted = {
  submit: "lean_aggregator_server_accepted_total",
  watch: "lean_aggregator_server_streams_open",
};
const count = async (command: keyof typeof counted) =>
  (await metricValue(service.metrics.registry, counted[command])) ?? 0;

const submit = ["submit", jsonFile(submitSnapshotJson("stuck"))] as const;
const watch = ["watch", "--node", "stuck"] as const;

test.each([
  [submit, "SIGINT", [null, "SIGINT"]],
  [submit, "SIGTERM", [null, "SIGTERM"]],
  [watch, "SIGINT", [0, null]],
  [watch, "SIGTERM", [null, "SIGTERM"]],
] as const)("%j whose output nobody reads ends at one %s", async (args, signal, ended) => {
  await until("earlier streams have ended", async () => (await count("watch")) === 0);
  const [command] = args;
  const before = await count(command);
  const { child, exited } = startStuck(1, args);
  await until("it has something to print", async () => (await count(command)) > before);
  // Only there: `submit` takes no signal before it has printed that it was accepted.
  if (command === "watch") expect(catches(child.pid ?? 0, "SIGINT")).toBe(true);
  expect(child.exitCode).toBeNull();
  child.kill(signal);
  expect(await exited).toEqual(ended);
});

test.each([
  [["serve", "--wrong"], 2],
  [["serve", "--deadline-ms", "0"], 2],
  [["--wrong", "serve"], 2],
  [["watch", "--wrong"], 2],
  [["submit", "/no/such/file"], 2],
  [["health", "--server", "127.0.0.1:1"], 1],
])("%j whose errors nobody reads ends all the same", async (args, code) => {
  expect(await startStuck(2, args).exited).toEqual([code, null]);
});

test("'serve --help' that nobody reads ends, though serve takes the signals", async () => {
  expect(await startStuck(1, ["serve", "--help"]).exited).toEqual([1, null]);
});
