/** `lean-aggregator demo` with the fake prover: 25 s of slots in real time. */
import { readFileSync } from "node:fs";
import { afterAll, expect, test } from "vitest";
import { commandLine } from "../../helpers/command-line.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";

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
