/** Where the operator's service is served, and where it is not. */
import { statSync } from "node:fs";
import { expect, test } from "vitest";
import { callAdmin } from "../../../client/rpc/operator-client.js";
import { AggregatorClient } from "../../../client/rpc/aggregator-client.js";
import { AdminService } from "../../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { parseConfig } from "../../../server/config/config.js";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import type { Service } from "../../../server/service.js";
import { freshPath } from "../../helpers/command-line.js";
import { startTestService } from "../../helpers/start-service.js";

async function withService(
  settings: Record<string, unknown>,
  use: (service: Service) => Promise<void>,
) {
  const prover = () => startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() });
  const service = await startTestService(prover, settings);
  try {
    await use(service);
  } finally {
    await service.close();
  }
}

const unsupported = { kind: "unsupported" };

test("the operator's service is on its own listener only, and alone there", async () => {
  await withService({}, async ({ operatorAddress = "", addresses: [nodes = ""] }) => {
    expect(operatorAddress).toMatch(/^127\.0\.0\.1:[1-9]\d*$/);
    expect((await callAdmin(operatorAddress, "listProvers", {})).devices).toHaveLength(1);
    await expect(callAdmin(nodes, "listProvers", {})).rejects.toMatchObject(unsupported);

    const answer = await fetch(`http://${nodes}/${AdminService.typeName}/ListProvers`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    expect(answer.status).toBe(404);

    const client = new AggregatorClient({ address: operatorAddress });
    await expect(client.getServerInfo()).rejects.toMatchObject(unsupported);
    client.close();
  });
});

test("a Unix socket is for the service's own user", async () => {
  const path = freshPath("admin.sock");
  await withService({ admin: `unix:${path}` }, async ({ operatorAddress = "" }) => {
    expect(operatorAddress).toBe(`unix:${path}`);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect((await callAdmin(operatorAddress, "listProvers", {})).devices).toHaveLength(1);
  });
});

test("the listener can be off", async () => {
  await withService({ admin: "off" }, async ({ operatorAddress }) => {
    expect(operatorAddress).toBeUndefined();
  });
});

test("the listener is on loopback by default, and nowhere else in plain text", () => {
  expect(parseConfig({}).admin).toBe("127.0.0.1:9192");
  expect(() => parseConfig({ admin: "0.0.0.0:9192" })).toThrow(/0\.0\.0\.0:9192.*loopback/);
  expect(() => parseConfig({ admin: "on" })).toThrow(/admin.*host:port, unix:\/path or "off"/);
});

test("a request that is too large for an operator's is refused", async () => {
  await withService({}, async ({ operatorAddress = "" }) => {
    const call = callAdmin(operatorAddress, "endSession", { sessionId: "x".repeat(5000) });
    await expect(call).rejects.toMatchObject({ kind: "overloaded" });
  });
});
