/** What is said of requests in JSON alone. */
import { create, toJson } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SubmitSnapshotRequestSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../server/limits.js";
import type { Service } from "../../../server/service.js";
import { Gate, inventedGroup, nodeFor } from "../../../tools/harness/wire/contract.js";
import { frame, pathOf, RawClient } from "../../../tools/harness/wire/raw-grpc.js";
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

test("an object with many keys is refused before it is parsed", async () => {
  const keys = (count: number) => Array.from({ length: count }, (_, at) => `"k\\"${at}":1`).join();
  const begin = performance.now();
  const many = await post(`{"snapshot":{"groups":[{},{${keys(300_000)}}]}}`);
  expect(await many.text()).toContain("the request has an object with more than 32 keys");
  expect(performance.now() - begin).toBeLessThan(5000);
  const few = await post(`{"snapshot":{"groups":[{},{${keys(32)}}]}}`);
  expect(await few.text()).toContain("no such field");
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

test.each(["deadlineMs", "fenceMs"])(
  "a negative %s in JSON is refused, naming the field",
  async (name) => {
    const request = create(SubmitSnapshotRequestSchema, {
      node: nodeFor("json", "negative"),
      snapshot: snapshot(100, [inventedGroup(0)]),
    });
    const json = toJson(SubmitSnapshotRequestSchema, request) as Record<string, unknown>;
    const response = await post(JSON.stringify({ ...json, [name]: -1 }));
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      code: "invalid_argument",
      message: expect.stringContaining(name),
    });
  },
);

const grpcStatus = async (response: Response) => ({
  code: response.headers.get("grpc-status") ?? "",
  message: decodeURIComponent(response.headers.get("grpc-message") ?? ""),
});

/** The refusal of a body in JSON, by content type: each protocol says it in its own way. */
const refusals: Record<string, (body: string | Buffer) => Promise<string>> = {
  "application/json": async (body) => {
    const response = await post(new Uint8Array(Buffer.from(body)));
    const { code, message } = (await response.json()) as { code?: string; message?: string };
    expect([response.status, code]).toEqual([400, "invalid_argument"]);
    return message ?? "";
  },
  "application/grpc-web+json": async (body) => {
    const bytes = new Uint8Array(frame(Buffer.from(body)));
    const response = await post(bytes, "application/grpc-web+json");
    const inHeaders = await grpcStatus(response);
    const text = decodeURIComponent(await response.text());
    const code = inHeaders.code || /grpc-status: (\d+)/.exec(text)?.[1];
    expect(code).toBe("3");
    return inHeaders.message || (/grpc-message: (.*)/.exec(text)?.[1] ?? "");
  },
  "application/connect+json": async (body) => {
    const response = await fetch(`http://${service.addresses[0]}${pathOf("StreamResults")}`, {
      method: "POST",
      headers: { "content-type": "application/connect+json" },
      body: new Uint8Array(frame(Buffer.from(body))),
    });
    const end = Buffer.from(await response.arrayBuffer()).subarray(5);
    const { error } = JSON.parse(end.toString()) as { error: { code: string; message: string } };
    expect(error.code).toBe("invalid_argument");
    return error.message;
  },
  "application/grpc+json": async (body) => {
    const client = new RawClient(service.addresses[0] ?? "");
    const call = client.call("SubmitSnapshot", { "content-type": "application/grpc+json" });
    const { code, message } = await call.end(frame(Buffer.from(body)));
    client.close();
    expect(code).toBe(3);
    return message;
  },
};

describe.each(Object.entries(refusals))("%s refuses, with the place,", (_type, refusalOf) => {
  test.each([
    ['{"node":{"nodeId":"a","nodeIdd":1}}', 'node.nodeIdd: no such field; did you mean "nodeId"'],
    ['{"node":{"nodeEpoch":9007199254740993}}', "node.nodeEpoch: is a number of 2^53 or more"],
    ['{"node":{"nodeEpoch":1,"nodeEpoch":2}}', "node.nodeEpoch: is there twice, again at line 1"],
    ['{"node":{"nodeId":"a"},}', "the request is not JSON at line 1 column 24: "],
    ['{"node":{"nodeEpoch":NaN}}', "the request is not JSON at line 1 column 22: "],
    ['// a\n{"node":{}}', "the request is not JSON at line 1 column 1: "],
    ["", "the request is not JSON at line 1 column 1: "],
    ["null", "the request is null, expected an object"],
  ])("%s", async (body, message) => {
    expect((await refusalOf(body)).slice(0, message.length)).toBe(message);
  });

  test("text that is not UTF-8, and nesting without end", async () => {
    expect(await refusalOf(Buffer.from([0x7b, 0x22, 0xff, 0x22]))).toBe(
      "the request is not UTF-8 at line 1 column 3",
    );
    const deep = '{"node":'.repeat(4_000) + "1" + "}".repeat(4_000);
    expect(await refusalOf(deep)).toBe("node.node: no such field; Node has nodeId, nodeEpoch");
  });

  test("but for a byte order mark: it is skipped", async () => {
    expect(await refusalOf('\uFEFF{"node":{"nodeId":"a b"}}')).toMatch(
      /^node.node_id: is "a b", expected 1 to/,
    );
  });
});

test("priorities and hex that are typed wrongly are refused over HTTP, not taken for others", async () => {
  const refusal = refusals["application/json"] ?? (() => Promise.resolve(""));
  expect(await refusal('{"priority":"backlog"}')).toMatch(/did you mean "PRIORITY_BACKLOG"$/);
  expect(await refusal('{"busyPolicy":7}')).toMatch(/^busyPolicy: is 7, expected /);
  const root = `0x${"ab".repeat(32)}`;
  expect(await refusal(`{"snapshot":{"head":{"root":"${root}"}}}`)).toMatch(
    /^snapshot.head.root: is "0xabab.*": JSON over HTTP takes base64; hex is for files/,
  );
});

test("binary requests stay lenient: a field of a newer client is skipped", async () => {
  const unknown = Buffer.from([0x98, 0x3f, 0x05]); // field 1011, varint 5
  const info = await fetch(`http://${service.addresses[0]}${pathOf("GetServerInfo")}`, {
    method: "POST",
    headers: { "content-type": "application/proto" },
    body: unknown,
  });
  expect(info.status).toBe(200);
});

test("the stream of reflection refuses an unknown field, too", async () => {
  const path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
  const client = new RawClient(service.addresses[0] ?? "");
  const call = client.call(path, { "content-type": "application/grpc+json" });
  const { code, message } = await call.end(frame(Buffer.from('{"listServicez":"*"}')));
  client.close();
  expect([code, message]).toEqual([3, expect.stringContaining("listServicez")]);
});

test("a node whose keys or signatures are hex, or of another scheme, learns it at once", async () => {
  const valid = create(SubmitSnapshotRequestSchema, {
    node: nodeFor("json", "lengths"),
    snapshot: snapshot(100, [inventedGroup(0)]),
  });
  const asHex = (bytes: Uint8Array) => Buffer.from(Buffer.from(bytes).toString("hex"), "base64");
  const changed = (change: (given: NonNullable<typeof valid.snapshot>) => void) => {
    const request = structuredClone(valid);
    if (request.snapshot !== undefined) change(request.snapshot);
    return toJson(SubmitSnapshotRequestSchema, request);
  };
  const messageOf = async (json: unknown) =>
    ((await (await post(JSON.stringify(json))).json()) as { message?: string }).message ?? "";
  const keys = changed((given) => {
    for (const key of given.keys) key.publicKey = asHex(key.publicKey);
  });
  expect(await messageOf(keys)).toMatch(
    /^snapshot.keys\[0\].public_key: has 48 bytes, and none of the \d+ public keys has the 32 of .*: this is hex/,
  );
  const signatures = changed(({ groups }) => {
    for (const { rawSignatures } of groups) {
      for (const raw of rawSignatures) raw.signature = new Uint8Array(100);
    }
  });
  expect(await messageOf(signatures)).toMatch(
    /^snapshot.groups\[0\].raw_signatures\[0\].signature: has 100 bytes, and none of .*: are they of another scheme\?/,
  );
  const root = changed(({ head }) => {
    if (head !== undefined) head.root = asHex(head.root);
  });
  expect(await messageOf(root)).toMatch(
    /^snapshot.head.root: has 48 bytes, expected 32: this is hex/,
  );
  const one = changed(({ keys: [first] }) => {
    if (first !== undefined) first.publicKey = new Uint8Array(5);
  });
  expect(await messageOf(one)).toBe("");
});
