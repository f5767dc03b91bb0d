/** Proxy variables of the environment: no call goes through a proxy, and no token. */
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import type { Service } from "../../../server/service.js";
import { commandLine, freshPath } from "../../helpers/command-line.js";
import { startTestService } from "../../helpers/start-service.js";

let service: Service;
beforeAll(async () => {
  service = await startTestService(() =>
    startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() }),
  );
});
afterAll(() => service.close());

let asked = 0;
const proxy = createServer((socket) => {
  asked++;
  socket.destroy();
}).listen(0, "127.0.0.1");
beforeAll(async () => {
  if (!proxy.listening) await once(proxy, "listening");
});
afterAll(() => new Promise((resolve) => proxy.close(resolve)));

const NAMES = ["grpc_proxy", "https_proxy", "http_proxy", "all_proxy"];

test("a token and every call go to the service itself, whatever proxies the environment names", async () => {
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const names = NAMES.flatMap((name) => [name, name.toUpperCase()]);
  const env = Object.fromEntries(names.map((name) => [name, url]));
  const token = freshPath("token");
  writeFileSync(token, "lagg_secret\n");
  const [address = ""] = service.addresses;
  const cli = (...args: string[]) =>
    commandLine(args, { env: { ...env, NODE_USE_ENV_PROXY: "1", no_proxy: "", NO_PROXY: "" } });
  const info = ["info", "--server", address, "--token-file", token];
  expect(await cli(...info)).toMatchObject({ code: 0, stderr: "" });
  const provers = ["admin", "provers", "--server", service.operatorAddress ?? ""];
  expect(await cli(...provers)).toMatchObject({ code: 0, stderr: "" });
  const listeners = ["--listen", address, "--admin", service.operatorAddress ?? "off"];
  const probes = ["--probes", service.probesAddress ?? "off"];
  const { stdout } = await cli("doctor", "--prover", "fake", ...listeners, ...probes);
  expect(stdout).toMatch(/^WARN +listen +lean-aggregator test runs on /m);
  expect(stdout).toMatch(/^WARN +probes +lean-aggregator's listener for probes runs on /m);
  expect(stdout).toMatch(/^WARN +admin +lean-aggregator's admin listener runs on /m);
  expect(asked).toBe(0);
});
