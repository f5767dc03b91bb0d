/** grpcurl against the operator's listener: it knows the service from reflection alone. */
import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startFakeProver } from "../../server/prover/fake/fake.js";
import type { Service } from "../../server/service.js";
import {
  GRPCURL,
  hasProgram,
  INSTALL_TIMEOUT_MS,
  installGrpcurl,
  mustRun,
  run,
} from "./interop-tools.js";
import { startTestService } from "../helpers/start-service.js";

const SERVICE = "lean.aggregator.admin.v1.AdminService";
const isMissing = !existsSync(GRPCURL) && !hasProgram("go", "version");
const reason = isMissing ? " (skipped: neither out/bin/grpcurl nor go is there)" : "";

describe.skipIf(isMissing)(`grpcurl${reason}`, () => {
  let service: Service;
  beforeAll(async () => {
    await installGrpcurl();
    service = await startTestService(() =>
      startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() }),
    );
  }, INSTALL_TIMEOUT_MS);
  afterAll(() => service.close());

  const address = () => service.operatorAddress ?? "";
  const call = (method: string, body: unknown) =>
    run(GRPCURL, ["-plaintext", "-d", JSON.stringify(body), address(), `${SERVICE}/${method}`]);

  test("lists the operator's service and not the nodes'", async () => {
    const listed = await mustRun(GRPCURL, ["-plaintext", address(), "list"]);
    expect(listed.trim().split("\n")).toEqual([
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
      SERVICE,
    ]);
  });

  test("describes what its messages have from the nodes' contract", async () => {
    const enumeration = "lean.aggregator.v1.DeviceState";
    const described = await mustRun(GRPCURL, ["-plaintext", address(), "describe", enumeration]);
    expect(described).toContain("DEVICE_STATE_PROVING");
  });

  test("a drain without more words is a drain", async () => {
    const { stdout } = await call("DrainDevice", { deviceId: "cpu" });
    expect(JSON.parse(stdout)).toMatchObject({ device: { drained: true } });
    const undrained = await call("DrainDevice", { deviceId: "cpu", drained: false });
    expect(JSON.parse(undrained.stdout)).not.toHaveProperty("device.drained");
  });

  test("a session that never was is NOT_FOUND", async () => {
    const { code, stderr } = await call("EndSession", { sessionId: "nope" });
    expect(code).not.toBe(0);
    expect(stderr).toContain("Code: NotFound");
  });

  test("the listener is healthy, whatever the devices are", async () => {
    const check = ["-plaintext", "-d", JSON.stringify({ service: SERVICE }), address()];
    const health = await mustRun(GRPCURL, [...check, "grpc.health.v1.Health/Check"]);
    expect(JSON.parse(health)).toEqual({ status: "SERVING" });
  });
});
