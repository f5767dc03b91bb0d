/** `lean-aggregator demo` with the fake prover: 25 s of slots in real time. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { afterAll, expect, test } from "vitest";
import { commandLine, MAIN } from "../../helpers/command-line.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";
import { until } from "../serve/served.js";

const ends: (() => void)[] = [];
afterAll(() => ends.forEach((end) => end()));

test("demo --keep verifies its proofs, and leaves a service that it says how to use and stop", async () => {
  const env = {
    TMPDIR: temporaryFolder(),
    LEAN_AGGREGATOR_LISTEN: "127.0.0.1:0",
    LEAN_AGGREGATOR_PROBES: "127.0.0.1:0",
    LEAN_AGGREGATOR_ADMIN: "127.0.0.1:0",
  };
  const { code, stdout } = await commandLine(["demo", "--keep", "--prover", "fake"], { env });
  const pid = Number(/kill (\d+)/.exec(stdout)?.[1]);
  ends.push(() => process.kill(pid, "SIGKILL"));
  expect(code).toBe(0);
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
