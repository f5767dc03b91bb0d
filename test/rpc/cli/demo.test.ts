/** `lean-aggregator demo` with the fake prover: 25 s of slots in real time. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import { startDemoService } from "../../../cli/demo/served.js";
import { commandLine, MAIN } from "../../helpers/command-line.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";
import { until } from "../serve/served.js";

const ends: (() => void)[] = [];
afterAll(() => ends.forEach((end) => end()));
afterEach(() => {
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
});

/** Addresses that need no port of this machine; later flags win. */
const free = ["--listen", "--probes", "--admin"].flatMap((flag) => [flag, "127.0.0.1:0"]);

/** The service's address for probes, once it is ready; it has been stopped then. */
async function startedProbes(...flags: string[]): Promise<string> {
  const signal = AbortSignal.timeout(20_000);
  const service = await startDemoService([...free, "--prover", "fake", ...flags], signal);
  await service.stop();
  return service.probes;
}

test("a quiet log, a proxy and a Unix socket for probes do not keep the demo waiting", async () => {
  vi.stubEnv("LEAN_AGGREGATOR_LOG_LEVEL", "silent");
  expect(await startedProbes()).toMatch(/^127\.0\.0\.1:\d+$/);
  // With NODE_USE_ENV_PROXY it would go to the proxy.
  vi.stubGlobal("fetch", () => Promise.reject(new Error("the proxy")));
  const socket = `unix:${temporaryFolder()}/probes`;
  expect(await startedProbes("--probes", socket)).toBe(socket);
});

test("a service that is not ready in time ends the demo, which says what it waits for", async () => {
  const flags = [...free, "--devices", "none", "--engine", "nats://127.0.0.1:1"];
  const start = startDemoService(flags, AbortSignal.timeout(20_000), 3000);
  await expect(start).rejects.toThrow(
    /^the service cannot prove: it is not ready after 3 s: .*; run 'lean-aggregator doctor'$/,
  );
});

test("demo --keep verifies its proofs, and leaves a service that it says how to use and stop", async () => {
  const env = {
    TMPDIR: temporaryFolder(),
    LEAN_AGGREGATOR_LISTEN: "127.0.0.1:0",
    LEAN_AGGREGATOR_PROBES: "off",
    LEAN_AGGREGATOR_ADMIN: "127.0.0.1:0",
  };
  const { code, stdout } = await commandLine(["demo", "--keep", "--prover", "fake"], { env });
  const pid = Number(/kill (\d+)/.exec(stdout)?.[1]);
  ends.push(() => process.kill(pid, "SIGKILL"));
  expect(code).toBe(0);
  expect(stdout).toMatch(/probes and metrics at http:\/\/127\.0\.0\.1:\d+,$/m);
  const [, good, count] = /verified (\d+) of (\d+) proofs/.exec(stdout) ?? [];
  expect([Number(good) > 0, good]).toEqual([true, count]);
  expect(readFileSync(`/proc/${pid}/cmdline`, "utf8")).toContain("serve");

  const [, nodes = ""] = /nodes at (\S+),/.exec(stdout) ?? [];
  const { stdout: table } = await commandLine([
    ...["submit", "examples/snapshot.json", "--server", nodes],
  ]);
  expect(table).toContain("4 of 4");
}, 120_000);

/** A demo that has just started its service, which does not listen yet. */
async function startDemo() {
  const folder = temporaryFolder();
  const child = spawn(process.execPath, [MAIN, "demo", "--prover", "fake"], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, TMPDIR: folder },
  });
  ends.push(() => child.kill("SIGKILL"));
  const said = { stdout: "", stderr: "" };
  child.stdout.on("data", (bytes: Buffer) => (said.stdout += bytes.toString()));
  child.stderr.on("data", (bytes: Buffer) => (said.stderr += bytes.toString()));
  const children = `/proc/${child.pid}/task/${child.pid}/children`;
  const started = () => /^\d+/.exec(readFileSync(children, "utf8"))?.[0];
  await until("the service is started", () => started() !== undefined);
  const pid = Number(started());
  ends.push(() => existsSync(`/proc/${pid}`) && process.kill(pid, "SIGKILL"));
  const exited = once(child, "exit");
  return { child, exited, folder, pid, said };
}

test.each(["SIGTERM", "SIGHUP", "SIGINT"] as const)(
  "%s ends the demo and the service that it started",
  async (name) => {
    const { child, exited, folder, pid, said } = await startDemo();
    await until("the first slot", () => said.stdout.includes("\nslot "));
    child.kill(name);
    expect(await exited).toEqual([1, null]);
    expect(said.stderr).toBe("lean-aggregator: interrupted; the service has been stopped\n");
    expect([existsSync(`/proc/${pid}`), readdirSync(folder)]).toEqual([false, []]);
  },
  60_000,
);

test("a demo whose service is killed before it listens says so and ends", async () => {
  const { exited, folder, pid, said } = await startDemo();
  process.kill(pid, "SIGKILL");
  expect(await exited).toEqual([1, null]);
  expect(said.stderr).toContain("the service cannot prove: it ended with SIGKILL; ");
  expect(readdirSync(folder)).toEqual([]);
}, 30_000);
