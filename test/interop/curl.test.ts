/** curl against the nodes' address: Connect's unary protocol is a plain POST of JSON. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startFakeProver } from "../../server/prover/fake/fake.js";
import type { Service } from "../../server/service.js";
import { jsonFile, PARTICIPANTS_BASE64, submitSnapshotJson } from "../helpers/interop-json.js";
import { hasProgram, mustRun } from "./interop-tools.js";
import { startTestService } from "../helpers/start-service.js";

const isMissing = !hasProgram("curl", "--version");
const reason = isMissing ? " (skipped: no curl)" : "";
const node = { nodeId: "curl" };

describe(`curl${reason}`, () => {
  let service: Service;
  beforeAll(async () => {
    service = await startTestService(() =>
      startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() }),
    );
  });
  afterAll(() => service.close());

  async function post(method: string, body: string, ...more: string[]) {
    const url = `http://${service.addresses[0]}/lean.aggregator.v1.AggregatorService/${method}`;
    const printed = await mustRun("curl", [
      ...["-sS", "--noproxy", "*", "--max-time", "30", "-w", "\n%{http_code}"],
      ...["-H", "content-type: application/json", ...more],
      ...["--data-binary", `@${jsonFile(body)}`, url],
    ]);
    const at = printed.lastIndexOf("\n");
    const json = JSON.parse(printed.slice(0, at)) as Record<string, unknown>;
    return { status: Number(printed.slice(at + 1)), json };
  }

  test.skipIf(isMissing)(`submits, then waits for the session's end${reason}`, async () => {
    const submitted = await post(
      "SubmitSnapshot",
      submitSnapshotJson(node.nodeId),
      ...["-H", "connect-timeout-ms: 20000"],
    );
    expect(submitted.status).toBe(200);
    const accepted = submitted.json["accepted"] as Record<string, unknown>;
    expect(accepted).toMatchObject({ deadlineSource: "DEADLINE_SOURCE_CALL" });
    const { requestId } = accepted;

    const got = await post("GetSession", JSON.stringify({ node, requestId, waitMs: 5000 }));
    expect(got.status).toBe(200);
    expect(got.json["session"]).toMatchObject({
      requestId,
      state: "SESSION_STATE_ENDED",
      outcomes: [{ status: "OUTCOME_STATUS_PROVED", participants: PARTICIPANTS_BASE64 }],
      summary: { proved: 1 },
    });
  });

  test.skipIf(isMissing).each(["SubmitSnapshot", "GetSession"])(
    `a garbage body to %s is a bad request${reason}`,
    async (method) => {
      const { status, json } = await post(method, "{ not json");
      expect(status).toBe(400);
      expect(json["code"]).toBe("invalid_argument");
    },
  );

  test.skipIf(isMissing)(`an unknown request is not found${reason}`, async () => {
    const { status, json } = await post("GetSession", JSON.stringify({ node, requestId: "no" }));
    expect(status).toBe(404);
    expect(json["code"]).toBe("not_found");
  });
});
