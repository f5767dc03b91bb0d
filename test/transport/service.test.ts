/** What the settings make of a whole service: where TLS is, where plain text, and who may connect. */
import { once } from "node:events";
import { statSync } from "node:fs";
import { createServer } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { AggregatorClient } from "../../client/rpc/aggregator-client.js";
import { TickAggregator } from "../../client/adapter/tick-aggregator.js";
import { callAdmin } from "../../client/rpc/operator-client.js";
import { ConfigError } from "../../server/config/config-error.js";
import { parseConfig } from "../../server/config/config.js";
import { startFakeProver } from "../../server/prover/fake/fake.js";
import { underClosedMask } from "../../server/net/unix-socket.js";
import type { Service } from "../../server/service.js";
import { checkTls } from "../../cli/doctor/file-checks.js";
import { commandLine, freshPath } from "../helpers/command-line.js";
import { files, mutualTlsSettings } from "./mutual-tls.js";
import { listenTestService, startTestService } from "../helpers/start-service.js";
import { snapshot } from "../../tools/harness/vectors.js";
import { inventedGroup } from "../../tools/harness/wire/contract.js";

const startProver = () => startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() });
const ownTls = { ca: files.ca, certificate: files.node, key: files.nodeKey };
const socketPath = () => freshPath("grpc.sock");

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
async function serve(settings: Record<string, unknown>): Promise<Service> {
  const service = await startTestService(startProver, settings);
  closing.push(() => service.close());
  return service;
}
function clientOf(address: string): AggregatorClient {
  const client = new AggregatorClient({ address, tls: ownTls });
  closing.push(() => client.close());
  return client;
}

describe("with a certificate", () => {
  test("TCP is encrypted, and Unix sockets and the operator's listener are plain", async () => {
    const path = socketPath();
    const listen = ["127.0.0.1:0", `unix:${path}`];
    const service = await serve({ ...mutualTlsSettings, listen });
    for (const address of service.addresses) await clientOf(address).getServerInfo();
    const plain = new AggregatorClient({ address: service.addresses[0] ?? "" });
    closing.push(() => plain.close());
    await expect(plain.getServerInfo({}, { timeoutMs: 2000 })).rejects.toMatchObject({
      kind: "unavailable",
    });
    expect(
      (await callAdmin(service.operatorAddress ?? "", "listProvers", {})).devices,
    ).toHaveLength(1);
  });

  test("a node's adapter submits and takes its proofs", async () => {
    const { addresses } = await serve(mutualTlsSettings);
    const aggregator = new TickAggregator({
      endpoints: addresses.map((address) => `https://${address}`),
      tls: ownTls,
      nodeId: "node-1",
      timeToFence: () => 5000,
    });
    closing.push(() => aggregator.close({ drainMs: 0 }));
    const gates = { isAggregator: true, hasState: true };
    const submit = () =>
      aggregator.submitOrSkip(100, gates, () => snapshot(100, [inventedGroup(0)]));
    await expect.poll(submit).toMatchObject({ submitted: true });
    await expect.poll(() => aggregator.takeResults(100)).toMatchObject([{ kind: "outcome" }]);
  });

  test("the command line asks over TLS, and says what is wrong with its flags", async () => {
    const [address = ""] = (await serve(mutualTlsSettings)).addresses;
    const own = ["--tls-ca", files.ca, "--tls-certificate", files.node, "--tls-key", files.nodeKey];
    const info = await commandLine(["info", "--server", `https://${address}`, ...own]);
    expect(info.stdout).toMatch(/^version +test\n/);
    const leave = "GOAWAY after 1800 s, or 300 s without a call; closed 70 s later";
    expect(info.stdout).toMatch(new RegExp(`\nconnection +at most 32 calls, ${leave}\n`));
    const unknown = await commandLine(["info", "--server", `https://${address}`]);
    expect([unknown.code, unknown.stderr]).toEqual([
      1,
      expect.stringContaining("cannot reach the service"),
    ]);
    const wrong = await commandLine(["info", "--tls-ca", "/no/ca.pem"]);
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining("/no/ca.pem")]);
    const odd = await commandLine(["info", "--server", "https://host/path"]);
    expect([odd.code, odd.stderr]).toEqual([
      2,
      expect.stringContaining("Expected https://host:port without a path"),
    ]);
  });

  test("files that cannot be used end serve with 2, under the flag's name", async () => {
    const args = ["--tls-certificate", files.server, "--tls-key", files.nodeKey];
    const { code, stderr } = await commandLine(["serve", "--prover", "fake", ...args]);
    expect(stderr).toContain(`--tls-key ${files.nodeKey} is not the key of the certificate`);
    expect(code).toBe(2);
  });

  test("doctor tells until when it is good, and warns a week before", async () => {
    const soon = await checkTls(mutualTlsSettings, Date.now());
    expect(soon).toMatchObject({ level: "warn", text: expect.stringContaining("valid until") });
    const over = await checkTls(mutualTlsSettings, Date.now() + 9e8);
    expect(over).toMatchObject({ level: "fail", text: expect.stringContaining("expired") });
  });
});

describe("the listener for probes", () => {
  test("answers a prober without a certificate, and takes no calls", async () => {
    const service = await serve(mutualTlsSettings);
    const get = async (path: string, method = "GET") => {
      const answer = await fetch(`http://${service.probesAddress}${path}`, { method });
      return [answer.status, await answer.text()];
    };
    expect(await get("/livez")).toEqual([200, "ok\n"]);
    expect(await get("/readyz?verbose")).toEqual([200, "ok\n"]);
    expect(await get("/livez", "POST")).toEqual([405, expect.any(String)]);
    expect(await get("/metrics")).toEqual([200, expect.stringContaining("lean_aggregator_")]);
    expect(await get("/")).toEqual([200, expect.stringContaining("/readyz")]);
    const call = "/lean.aggregator.v1.AggregatorService/GetServerInfo";
    expect(await get(call)).toEqual([404, expect.any(String)]);
    expect(await get(call, "POST")).toEqual([404, expect.any(String)]);
  });

  test("says why the service is not ready", async () => {
    const neverReady = () =>
      Object.assign(startProver(), { ready: new Promise<never>(() => undefined) });
    const service = await listenTestService(neverReady, { drainMs: 1 });
    closing.push(() => service.close());
    const answer = await fetch(`http://${service.probesAddress}/readyz`);
    expect([answer.status, await answer.text()]).toEqual([503, "device cpu is starting\n"]);
  });

  test("is on loopback unless told otherwise, may be on any address, and can be off", async () => {
    expect(parseConfig().probes).toBe("127.0.0.1:9191");
    expect((await serve({ probes: "off" })).probesAddress).toBeUndefined();
    expect(parseConfig({ probes: "0.0.0.0:9193" }).probes).toBe("0.0.0.0:9193");
    expect(problemsOf({ probes: "on" })).toMatch(/probes .*host:port, unix:\/path or "off"/);
  });
});

describe("a Unix socket", () => {
  test("is for the service's own user and group unless told otherwise", async () => {
    const path = socketPath();
    await serve({ listen: [`unix:${path}`] });
    expect(statSync(path).mode & 0o777).toBe(0o660);
  });

  test("has the mode and the group that are configured", async () => {
    const [path, probes] = [socketPath(), socketPath()];
    const groups = process.getgroups?.() ?? [];
    const group = groups.at(-1) ?? process.getgid?.() ?? 0;
    const access = { socketMode: "0666", socketGroup: String(group) };
    await serve({ listen: [`unix:${path}`], probes: `unix:${probes}`, ...access });
    for (const { mode, gid } of [statSync(path), statSync(probes)]) {
      expect([mode & 0o777, gid]).toEqual([0o666, group]);
    }
  });

  test("is nobody else's before its mode is set", async () => {
    const path = socketPath();
    const server = createServer();
    const before = process.umask(0);
    try {
      underClosedMask(() => server.listen(path));
      expect(statSync(path).mode & 0o777).toBe(0o600);
      expect(process.umask()).toBe(0);
    } finally {
      process.umask(before);
      server.close();
    }
    await once(server, "close");
  });

  test("of a group that is not there is refused", async () => {
    const settings = { listen: [`unix:${socketPath()}`], socketGroup: "no-such-group" };
    await expect(startTestService(startProver, settings)).rejects.toThrow(
      "/etc/group has no group no-such-group; give a group that it has, or a number",
    );
  });
});

function problemsOf(settings: Record<string, unknown>): string {
  try {
    parseConfig(settings);
    return "";
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

describe("settings", () => {
  const network = { listen: ["0.0.0.0:9190", "unix:/run/a.sock"] };

  test("plain text leaves the machine only by a flag that names the risk", () => {
    expect(problemsOf(network)).toMatch(/listen .*plain text.*loopback/);
    expect(problemsOf({ ...network, insecurePlaintextOnNetwork: true })).toBe("");
    expect(problemsOf({ ...network, insecurePlaintextOnNetwork: "true" })).toBe("");
    expect(problemsOf({ ...network, insecurePlaintextOnNetwork: "yes" })).toContain(
      "true or false",
    );
    const policy = { policy: "policy.json" };
    expect(problemsOf({ ...network, ...mutualTlsSettings, ...policy })).toBe("");
  });

  test("the operator's listener stays on the machine, with TLS too", () => {
    const admin = { admin: "0.0.0.0:9192" };
    const all = { ...admin, ...mutualTlsSettings, insecurePlaintextOnNetwork: true };
    expect(problemsOf(all)).toMatch(/admin .*expected a loopback host:port/);
  });

  test.each([
    [{ tlsCertificate: "a" }, /tlsKey is not given: name the private key of tlsCertificate/],
    [{ tlsKey: "a" }, /tlsCertificate is not given: name the certificate of tlsKey/],
    [{ tlsClientCa: "a" }, /tlsClientCa .*set tlsCertificate and tlsKey/],
    [{ socketMode: "rw" }, /socketMode .*octal/],
    [{ socketMode: 660 }, /socketMode .*octal, such as "0660"/],
  ])("%j is refused", (settings, told) => {
    expect(problemsOf(settings)).toMatch(told);
  });
});
