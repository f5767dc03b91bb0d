/** The packed files, each installed in an empty folder without a compiler, as their users do. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startFakeProver } from "../../server/prover/fake/fake.js";
import type { Service } from "../../server/service.js";
import { startTestService } from "../helpers/start-service.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";
import { INSTALL_TIMEOUT_MS, mustRun, run } from "./interop-tools.js";

const OUT = join(process.cwd(), "out", "packages");
/** One slot of a node, with votes of its own making: prints how its group ended. */
const TICK_LOOP = `
import { TickAggregator } from "lean-aggregator-client";
import { OutcomeStatus } from "lean-aggregator-client/proto";

const node = new TickAggregator({
  endpoints: process.argv[2],
  nodeId: "node-1",
  timeToFence: { slotMs: 4000, genesisUnixMs: Date.now() - 400_000 },
});
const point = { root: new Uint8Array(32).fill(1), slot: 100n };
const bytes = (value) => new Uint8Array(40).fill(value);
const data = { slot: 100n, head: point, target: point, source: point };
const make = () => ({
  head: point,
  justified: point,
  keys: [1, 2].map((index) => ({ validatorIndex: index, publicKey: bytes(index) })),
  groups: [{ data, rawSignatures: [1, 2].map((i) => ({ validatorIndex: i, signature: bytes(9) })) }],
});
const duty = { isAggregator: true, hasState: true };
for (let isSubmitted = false; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
  if (!isSubmitted) isSubmitted = "submitted" in node.submitOrSkip(100, duty, make);
  const [result] = node.takeResults(100);
  if (result === undefined) continue;
  console.log(result.kind, OutcomeStatus[result.outcome?.status]);
  break;
}
await node.close();
`;

const packed = (name: string) => {
  const file = readdirSync(OUT).find((each) => new RegExp(`^${name}-\\d.*\\.tgz$`).test(each));
  return join(OUT, file ?? "nothing was packed");
};
/** Only what npm itself needs: no compiler, no make, no Python. */
const bare = { PATH: `${join(process.execPath, "..")}:/bin`, CC: "false", CXX: "false" };

/** Installs a packed file in an empty folder, and returns the folder. */
async function installed(name: string): Promise<string> {
  const cwd = temporaryFolder();
  writeFileSync(join(cwd, "package.json"), '{ "type": "module" }');
  const quiet = ["--no-audit", "--no-fund", "--prefer-offline"];
  await mustRun("npm", ["install", ...quiet, packed(name)], { cwd, env: bare });
  return cwd;
}

beforeAll(() => mustRun(process.execPath, ["dist/tools/package/pack.js"]), INSTALL_TIMEOUT_MS);

describe("the client's package", () => {
  let service: Service;
  beforeAll(async () => {
    service = await startTestService(() =>
      startFakeProver({ accepts: "any", proveMs: () => 1, sleep: () => Promise.resolve() }),
    );
  });
  afterAll(() => service.close());

  test(
    "runs a tick loop, and has no native code",
    async () => {
      const cwd = await installed("lean-aggregator-client");
      writeFileSync(join(cwd, "tick-loop.js"), TICK_LOOP);
      const args = ["tick-loop.js", service.addresses[0] ?? ""];
      expect(await mustRun(process.execPath, args, { cwd })).toBe("outcome PROVED\n");
      const names = readdirSync(join(cwd, "node_modules"), { recursive: true, encoding: "utf8" });
      expect(names.filter((name) => /\.(node|so|gyp)$/.test(name))).toEqual([]);
      expect(existsSync(join(cwd, "node_modules/lean-aggregator-client/dist/server"))).toBe(false);
    },
    INSTALL_TIMEOUT_MS,
  );
});

describe("the service's package", () => {
  let cwd = "";
  beforeAll(async () => void (cwd = await installed("lean-aggregator")), INSTALL_TIMEOUT_MS);
  const npx = (...args: string[]) => run("npx", ["lean-aggregator", ...args], { cwd, env: bare });

  test("has its addon compiled, and says how to get the prover", async () => {
    const { stdout } = await npx("doctor");
    expect(stdout).toMatch(/^ok +native addon +loads$/m);
    expect(stdout).toMatch(/^FAIL +backend .*run 'lean-aggregator setup'$/m);
  });

  test("needs no newer glibc than 2.34, and no newer C++ library than that of GCC 5", () => {
    const carried = join(cwd, "node_modules/lean-aggregator/prebuilds");
    const files = readdirSync(carried, { recursive: true, encoding: "utf8" }).filter((name) =>
      /\.(node|so)$/.test(name),
    );
    expect(files).toContain(`${process.platform}-${process.arch}/lean_aggregator.node`);
    for (const file of files) {
      const text = readFileSync(join(carried, file), "latin1");
      const newest = (symbol: RegExp) =>
        Math.max(...[...text.matchAll(symbol)].map(([, minor]) => Number(minor)));
      expect(newest(/GLIBC_2\.(\d+)/g), file).toBeLessThanOrEqual(34);
      expect(newest(/GLIBCXX_3\.4\.(\d+)/g), file).toBeLessThanOrEqual(21);
    }
  });

  test("shows the demo", async () => {
    const { code, stdout } = await npx("demo", "--prover", "fake");
    expect(stdout).toMatch(/verified (\d+) of \1 proofs/);
    expect(code).toBe(0);
  }, 120_000);

  test("says what to install where there is no Python", async () => {
    const { code, stderr } = await run(
      "npx",
      ["lean-aggregator", "setup", "--python", "no-python"],
      {
        cwd,
        env: bare,
      },
    );
    expect(stderr).toContain("no-python is not installed, or does not start");
    expect(stderr).toContain("'lean-aggregator setup'");
    expect(code).toBe(1);
  });
});
