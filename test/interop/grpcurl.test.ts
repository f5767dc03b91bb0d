/** grpcurl against the nodes' address: it knows the service from reflection alone. */
import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startFakeProver } from "../../server/prover/fake/fake.js";
import type { Service } from "../../server/service.js";
import { jsonFile, PARTICIPANTS_BASE64, submitSnapshotJson } from "../helpers/interop-json.js";
import {
  GRPCURL,
  hasProgram,
  INSTALL_TIMEOUT_MS,
  installGrpcurl,
  mustRun,
} from "./interop-tools.js";
import { startTestService } from "../helpers/start-service.js";

const SERVICE = "lean.aggregator.v1.AggregatorService";
const HEALTH = "grpc.health.v1.Health";
const isMissing = !existsSync(GRPCURL) && !hasProgram("go", "version");
const reason = isMissing ? " (skipped: neither out/bin/grpcurl nor go is there)" : "";
const node = { nodeId: "grpcurl" };

describe(`grpcurl${reason}`, () => {
  let service: Service;
  let requestId = "";
  beforeAll(async () => {
    if (isMissing) return;
    await installGrpcurl();
    service = await startTestService(() =>
      startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() }),
    );
  }, INSTALL_TIMEOUT_MS);
  afterAll(async () => {
    if (!isMissing) await service.close();
  });

  const address = () => service.addresses[0] ?? "";
  const call = (method: string, body: unknown) =>
    mustRun(GRPCURL, ["-plaintext", "-d", JSON.stringify(body), address(), `${SERVICE}/${method}`]);

  test.skipIf(isMissing)(`lists the services${reason}`, async () => {
    const listed = await mustRun(GRPCURL, ["-plaintext", address(), "list"]);
    expect(listed.split("\n")).toContain(SERVICE);
  });

  test.skipIf(isMissing)(`describes AggregatorService${reason}`, async () => {
    const described = await mustRun(GRPCURL, ["-plaintext", address(), "describe", SERVICE]);
    for (const method of [
      "SubmitSnapshot",
      "StreamResults",
      "GetSession",
      "CancelSession",
      "VerifyAggregate",
      "GetServerInfo",
    ]) {
      expect(described).toContain(`rpc ${method} (`);
    }
    expect(described).toContain("returns ( stream .lean.aggregator.v1.StreamResultsResponse )");
  });

  test.skipIf(isMissing)(`submits a file, -max-time being the budget${reason}`, async () => {
    const stdinFile = jsonFile(submitSnapshotJson(node.nodeId));
    const method = `${SERVICE}/SubmitSnapshot`;
    const args = ["-plaintext", "-max-time", "5", "-d", "@", address(), method];
    const { accepted } = JSON.parse(await mustRun(GRPCURL, args, { stdinFile })) as {
      accepted: { requestId: string; deadlineMs: number; deadlineSource: string };
    };
    expect(accepted.deadlineSource).toBe("DEADLINE_SOURCE_CALL");
    expect(accepted.deadlineMs).toBeGreaterThan(0);
    expect(accepted.deadlineMs).toBeLessThanOrEqual(5000);
    ({ requestId } = accepted);
  });

  test.skipIf(isMissing)(`streams what is retained, up to the summary${reason}`, async () => {
    await call("GetSession", { node, requestId, waitMs: 5000 });
    const printed = await call("StreamResults", { node, retained: true, noFollow: true });
    const messages = printed
      .split(/(?<=^\})\n/m)
      .filter((text) => text.trim() !== "")
      .map((text): unknown => JSON.parse(text));
    expect(messages).toMatchObject([
      { opened: {} },
      { sending: {} },
      {
        outcome: { requestId, status: "OUTCOME_STATUS_PROVED", participants: PARTICIPANTS_BASE64 },
      },
      { summary: { requestId, groups: 1, proved: 1 } },
    ]);
  });

  test.skipIf(isMissing)(`lists, describes and calls health by reflection${reason}`, async () => {
    const listed = await mustRun(GRPCURL, ["-plaintext", address(), "list"]);
    expect(listed.split("\n")).toContain(HEALTH);
    const described = await mustRun(GRPCURL, ["-plaintext", address(), "describe", HEALTH]);
    expect(described).toContain("rpc Check ( .grpc.health.v1.HealthCheckRequest )");
    for (const service of ["", SERVICE]) {
      const target = ["-d", JSON.stringify({ service }), address(), `${HEALTH}/Check`];
      const answer = await mustRun(GRPCURL, ["-plaintext", ...target]);
      expect(JSON.parse(answer)).toEqual({ status: "SERVING" });
    }
  });
});
