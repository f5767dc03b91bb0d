/** `admin top` against a whole service: once, and on a screen that is redrawn until q. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { AggregatorClient } from "../../../client/rpc/aggregator-client.js";
import { runProgram } from "../../../cli/program.js";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import type { Service } from "../../../server/service.js";
import { fakeSnapshot } from "../../../tools/harness/fake-snapshots.js";
import { commandInProcess } from "../../helpers/command-line.js";
import { startTestService } from "../../helpers/start-service.js";
import { until } from "../serve/served.js";
import { startTcpProxy } from "../tcp-proxy.js";

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

test("without a terminal it gives a service up that hangs", async () => {
  const proxy = await startTcpProxy(service.operatorAddress ?? "");
  proxy.hold();
  const ran = await commandInProcess(["admin", "top", "--once", "--server", proxy.address]);
  expect(ran).toMatchObject({ code: 1, stdout: "" });
  expect(ran.stderr).toMatch(/(does|did) not answer/);
  await proxy.close();
}, 30_000);

/** `admin top` on a screen, with all that it printed and the frame that it shows. */
function topOnScreen(server: string) {
  let press: (key: string) => void = () => undefined;
  const onKey = (pressed: (key: string) => void) => {
    press = pressed;
    return () => undefined;
  };
  const shown = { printed: "", frame: "" };
  const out = (text: string) => {
    shown.printed += text;
    shown.frame = text;
  };
  const ended = new Promise<number>((resolve) => {
    void runProgram(["admin", "top", "--server", server], {
      env: {},
      terminal: {
        out,
        outUntil: () => Promise.resolve(),
        err: out,
        isErrTty: true,
        screen: () => ({ size: () => ({ columns: 60, rows: 12 }), onKey }),
        readStdin: () => Promise.resolve(new Uint8Array()),
      },
      version: "test",
      nodeRange: ">=20.19",
      interrupted: () => new AbortController().signal,
      signals: { listen: () => undefined },
      exit: resolve,
    });
  });
  return { shown, press: (key: string) => press(key), ended };
}

test("on a screen it stays within its size, and q brings back the old screen", async () => {
  const { shown, press, ended } = topOnScreen(service.operatorAddress ?? "");
  await until("a frame is shown", () => shown.frame.includes("ready"));
  press("q");
  expect(await ended).toBe(0);
  const { printed } = shown;
  expect(printed.startsWith("\u001b[?1049h")).toBe(true);
  expect(printed.endsWith("\u001b[?1049l")).toBe(true);
  const lines = printed.split("\r\n").map((line) => line.replace(/\u001b\[[?\d]*[A-Za-z]/g, ""));
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(60);
});

test("a service that hangs or ends is named on the screen until it is back", async () => {
  const proxy = await startTcpProxy(service.operatorAddress ?? "");
  const { shown, press, ended } = topOnScreen(proxy.address);
  await until("a frame is shown", () => shown.frame.includes("ready"));
  proxy.hold();
  const silent = `nothing has come from ${proxy.address}`;
  await until("it says that nothing comes", () => shown.frame.includes(silent));
  expect(shown.frame).toContain("ready");
  proxy.cut();
  const lost = `connection to ${proxy.address} lost, reconnecting`;
  await until("it says that the service is gone", () => shown.frame.includes(lost));
  proxy.cut(service.operatorAddress ?? "");
  await until("it is back", () => !shown.frame.includes("reconnecting"));
  expect(shown.frame).toContain("votes of the last minute: 4 in, 4 proved");
  press("q");
  expect(await ended).toBe(0);
  await proxy.close();
}, 30_000);
