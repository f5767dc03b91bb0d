/** `admin top` against a whole service: once, and on a screen that is redrawn until q. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { AggregatorClient } from "../../../client/rpc/aggregator-client.js";
import { runProgram } from "../../../cli/program.js";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import type { Service } from "../../../server/service.js";
import { fakeSnapshot } from "../../../tools/harness/fake-snapshots.js";
import { commandInProcess } from "../../helpers/command-line.js";
import { startTestService } from "../../helpers/start-service.js";

let service: Service;
let client: AggregatorClient;

beforeEach(async () => {
  const prover = () => startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() });
  service = await startTestService(prover);
  client = new AggregatorClient({ address: service.addresses[0] ?? "" });
  const node = { nodeId: "node-1" };
  await client.submitSnapshot({ node, requestId: "one", snapshot: fakeSnapshot(2) });
  await client.getSession({ node, requestId: "one", waitMs: 10_000 });
});
afterEach(async () => {
  client.close();
  await service.close();
});

test("without a terminal it prints once: devices, slots and nodes", async () => {
  const server = service.operatorAddress ?? "";
  const { code, stdout } = await commandInProcess(["admin", "top", "--server", server]);
  expect(code).toBe(0);
  expect(stdout).toContain("votes of the last minute: 4 in, 4 proved (100 %)");
  expect(stdout).toMatch(/^cpu +- +idle/m);
  expect(stdout).toMatch(/^ +101 +4 +4 +0 .*##$/m);
  expect(stdout).toMatch(/^node-1 /m);
});

test("on a screen it stays within its size, and q brings back the old screen", async () => {
  let printed = "";
  let press: (key: string) => void = () => undefined;
  const screen = {
    size: () => ({ columns: 60, rows: 12 }),
    onKey: (pressed: (key: string) => void) => {
      press = pressed;
      return () => undefined;
    },
  };
  const code = await new Promise<number>((resolve) => {
    const out = (text: string) => {
      printed += text;
      if (text.includes("ready")) press("q");
    };
    void runProgram(["admin", "top", "--server", service.operatorAddress ?? ""], {
      env: {},
      terminal: {
        out,
        outUntil: () => Promise.resolve(),
        err: out,
        isErrTty: true,
        screen: () => screen,
        readStdin: () => Promise.resolve(new Uint8Array()),
      },
      version: "test",
      nodeRange: ">=20.19",
      interrupted: () => new AbortController().signal,
      signals: { listen: () => undefined },
      exit: resolve,
    });
  });
  expect(code).toBe(0);
  expect(printed.startsWith("\u001b[?1049h")).toBe(true);
  expect(printed.endsWith("\u001b[?1049l")).toBe(true);
  const lines = printed.split("\r\n").map((line) => line.replace(/\u001b\[[?\d]*[A-Za-z]/g, ""));
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(60);
});
