/** What is said of requests in JSON alone. */
import { create, toJson } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SubmitSnapshotRequestSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../server/limits.js";
import type { Service } from "../../../server/service.js";
import { Gate, inventedGroup, nodeFor } from "../../../tools/harness/contract.js";
import { frame, pathOf } from "../../../tools/harness/raw-grpc.js";
import { startTestService } from "../../helpers/start-service.js";
import { snapshot } from "../../../tools/harness/vectors.js";

let service: Service;
beforeAll(async () => {
  service = await startTestService(new Gate().startProver);
});
afterAll(() => service.close());

const post = (body: string | Uint8Array<ArrayBuffer>, type = "application/json") =>
  fetch(`http://${service.addresses[0]}${pathOf("SubmitSnapshot")}`, {
    method: "POST",
    headers: { "content-type": type },
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

/** More entries than a request may have. */
const nested = `{"snapshot":{"groups":[${Array<string>(4 * limits.requestMessagesMax)
  .fill("{}")
  .join(",")}]}}`;

test.each(["application/JSON", "Application/Json; Charset=UTF-8", "APPLICATION/json"])(
  "%s has the limits of JSON, as HTTP makes no difference of case",
  async (type) => {
    const large = await post(JSON.stringify({ spam: "x".repeat(limits.jsonBytesMax) }), type);
    expect(large.status).toBe(429);
    expect((await large.json()) as object).toMatchObject({
      message: expect.stringContaining(`larger than ${limits.jsonBytesMax} bytes`),
    });
    const many = await post(nested, type);
    expect(await many.text()).toContain("more than");
    const few = await post(JSON.stringify({ node: { nodeId: "json" } }), type);
    expect(few.status).toBe(400);
    expect(few.headers.get("content-type")).toBe("application/json");
  },
);

test("and so has gRPC-Web, in its framing", async () => {
  const status = async (body: Uint8Array) => {
    const response = await post(new Uint8Array(frame(body)), "application/grpc-web+JSON");
    const inHeaders = response.headers.get("grpc-status");
    return inHeaders ?? /grpc-status: (\d+)/.exec(await response.text())?.[1];
  };
  expect(await status(Buffer.alloc(limits.jsonBytesMax + 1, " "))).toBe("8");
  expect(await status(Buffer.from(nested))).toBe("8");
  expect(await status(Buffer.from("{}"))).toBe("3");
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
