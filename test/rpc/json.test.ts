/** What is said of requests in JSON alone. */
import { create, toJson } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SubmitSnapshotRequestSchema } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../server/limits.js";
import type { Service } from "../../server/service.js";
import { Gate, inventedGroup, nodeFor } from "../helpers/contract.js";
import { pathOf } from "../helpers/raw-grpc.js";
import { startTestService } from "../helpers/start-service.js";
import { snapshot } from "../helpers/vectors.js";

let service: Service;
beforeAll(async () => {
  service = await startTestService(new Gate().startProver);
});
afterAll(() => service.close());

const post = (body: string) =>
  fetch(`http://${service.httpAddress}${pathOf("SubmitSnapshot")}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });

test("JSON has a limit of its own, below that of binary requests", async () => {
  const response = await post(JSON.stringify({ spam: "x".repeat(limits.jsonBytesMax) }));
  expect(response.status).toBe(429);
  expect(await response.json()).toMatchObject({
    code: "resource_exhausted",
    message: expect.stringContaining(`larger than ${limits.jsonBytesMax} bytes`),
  });
});

test.each([
  ["deadlineMs", "deadline_ms"],
  ["fenceMs", "fence_ms"],
])("a negative %s in JSON is refused, naming the field", async (name, field) => {
  const request = create(SubmitSnapshotRequestSchema, {
    node: nodeFor("json", "negative"),
    snapshot: snapshot(100, [inventedGroup(0)]),
  });
  const json = toJson(SubmitSnapshotRequestSchema, request) as Record<string, unknown>;
  const response = await post(JSON.stringify({ ...json, [name]: -1 }));
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({
    code: "invalid_argument",
    message: expect.stringContaining(field),
  });
});
