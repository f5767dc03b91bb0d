/** Python's grpcio, with code that grpcio-tools generates from the proto file. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startFakeProver } from "../../server/prover/fake/fake.js";
import type { Service } from "../../server/service.js";
import { jsonFile, PARTICIPANTS_BASE64, submitSnapshotJson } from "../helpers/interop-json.js";
import {
  GRPCIO_GENERATED,
  hasProgram,
  INSTALL_TIMEOUT_MS,
  installGrpcio,
  mustRun,
  VENV_PYTHON,
} from "./interop-tools.js";
import { startTestService } from "../helpers/start-service.js";

const isMissing = !hasProgram("python3", "-c", "import venv, ensurepip");
const reason = isMissing ? " (skipped: no python3 with venv)" : "";
const script = join(process.cwd(), "test/interop/grpcio_client.py");

interface Report {
  submitted: { accepted: { requestId: string; deadlineSource: string } };
  events: Record<string, unknown>[];
  unknown: { code: string; details: string };
  overLimit: { code: string; details: string };
}

describe(`grpcio${reason}`, () => {
  let service: Service;
  let report: Report;
  beforeAll(async () => {
    if (isMissing) return;
    await installGrpcio();
    service = await startTestService(() =>
      startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() }),
    );
    const args = [script, service.addresses[0] ?? "", jsonFile(submitSnapshotJson("grpcio"))];
    const printed = await mustRun(VENV_PYTHON, args, { env: { PYTHONPATH: GRPCIO_GENERATED } });
    report = JSON.parse(printed) as Report;
  }, INSTALL_TIMEOUT_MS);
  afterAll(async () => {
    if (!isMissing) await service.close();
  });

  test.skipIf(isMissing)(`submits, its timeout being the budget${reason}`, () => {
    const { accepted } = report.submitted;
    expect(accepted.deadlineSource).toBe("DEADLINE_SOURCE_CALL");
    expect(accepted.requestId).not.toBe("");
  });

  test.skipIf(isMissing)(`streams the request's events to its summary${reason}`, () => {
    const { requestId } = report.submitted.accepted;
    expect(report.events).toMatchObject([
      { opened: {} },
      { sending: {} },
      {
        outcome: { requestId, status: "OUTCOME_STATUS_PROVED", participants: PARTICIPANTS_BASE64 },
      },
      { summary: { requestId, proved: 1 } },
    ]);
  });

  test.skipIf(isMissing)(`an unknown request is NOT_FOUND${reason}`, () => {
    expect(report.unknown.code).toBe("NOT_FOUND");
    expect(report.unknown.details).toContain("request_id");
  });

  test.skipIf(isMissing)(`a wait over the limit is INVALID_ARGUMENT${reason}`, () => {
    expect(report.overLimit.code).toBe("INVALID_ARGUMENT");
    expect(report.overLimit.details).toContain("wait_ms");
  });
});
