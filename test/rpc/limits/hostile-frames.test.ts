/** Truncated and random bytes on both bare: a typed refusal, no memory kept, and life goes on. */
import { connect } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SubmitSnapshotRequestSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { startBareServer } from "../../../tools/harness/wire/bare-server.js";
import type { BareServer } from "../../../tools/harness/wire/bare-server.js";
import { frame, pathOf, RawClient } from "../../../tools/harness/wire/raw-grpc.js";
import { dataOf, keyTable, raws, snapshot } from "../../../tools/harness/vectors.js";

const [OK, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL] = [0, 3, 8, 12, 13];

let bare: BareServer;
let client: RawClient;
beforeAll(async () => {
  bare = await startBareServer();
});
afterAll(() => bare.close());

const message = toBinary(
  SubmitSnapshotRequestSchema,
  create(SubmitSnapshotRequestSchema, {
    node: { nodeId: "node-1", nodeEpoch: 1n },
    snapshot: snapshot(100, [{ data: dataOf(0), rawSignatures: raws(0, 0, 2) }], keyTable(2)),
    requestId: "retry",
    deadlineMs: 750,
  }),
);

async function lives(): Promise<void> {
  const status = await client.call("GetServerInfo").end(frame(new Uint8Array()));
  expect(status.code).toBe(0);
  await bare.memory.reaches(0);
}

describe("gRPC", () => {
  beforeAll(() => {
    client = new RawClient(bare.address);
  });
  afterAll(() => client.close());

  test.each([
    ["half a surrogate pair", '{"\\ud800": 1}', "\uFFFD"],
    ["a long unknown name", `{"${"a".repeat(60_000)}": 1}`, "aaa…"],
  ])("a message of a stream in JSON with %s gets a typed status", async (_, json, shown) => {
    const path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    const call = client.call(path, { "content-type": "application/grpc+json" });
    const status = await call.end(frame(Buffer.from(json)));
    expect(status).toEqual({
      code: INVALID_ARGUMENT,
      message: expect.stringContaining(shown),
    });
    await lives();
  });

  test("a request that ends before its message does is refused", async () => {
    const whole = frame(message);
    for (const at of [1, 4, 5, 6, 100, whole.length - 1]) {
      const { code } = await client.call("SubmitSnapshot").end(whole.subarray(0, at));
      expect([at, code]).toEqual([at, INVALID_ARGUMENT]);
    }
    await lives();
  });

  test("a message that is cut short is refused", async () => {
    const codes = new Set<number>();
    for (let at = 1; at < message.length; at += 37) {
      const { code } = await client.call("SubmitSnapshot").end(frame(message.subarray(0, at)));
      codes.add(code);
    }
    expect([...codes]).toEqual([INVALID_ARGUMENT]);
    await lives();
  });

  test("random bytes get a typed status", async () => {
    const methods = fc.constantFrom("SubmitSnapshot", "GetSession", "VerifyAggregate");
    const bytes = fc.uint8Array({ maxLength: 300 });
    const property = fc.asyncProperty(
      methods,
      bytes,
      fc.boolean(),
      async (method, body, framed) => {
        const { code } = await client.call(method).end(framed ? frame(body) : body);
        // INTERNAL is what gRPC wants for a message compressed without an encoding, too.
        expect([OK, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL]).toContain(code);
      },
    );
    await fc.assert(property, { numRuns: 200 });
    await lives();
  });

  test("callers that vanish at any point leave nothing held", async () => {
    const whole = frame(message);
    const property = fc.asyncProperty(fc.nat(whole.length), async (at) => {
      const other = new RawClient(bare.address);
      const call = other.call("SubmitSnapshot").send(whole.subarray(0, at));
      await other.ping().catch(() => undefined);
      call.stream.close();
      other.close();
    });
    await fc.assert(property, { numRuns: 50 });
    await lives();
  });

  test("random bytes in place of HTTP do no harm", async () => {
    const property = fc.asyncProperty(
      fc.uint8Array({ minLength: 1, maxLength: 200 }),
      async (bytes) => {
        const [host = "", port] = bare.address.split(":");
        const socket = connect({ host, port: Number(port) });
        const closed = new Promise((resolve) => socket.on("close", resolve));
        socket
          .on("error", () => undefined)
          .resume()
          .end(bytes);
        await closed;
      },
    );
    await fc.assert(property, { numRuns: 100 });
    await lives();
  });

  test("a corrupt HTTP/2 connection does no harm to others", async () => {
    const start = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    const property = fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
      const [host = "", port] = bare.address.split(":");
      const socket = connect({ host, port: Number(port) });
      socket.on("error", () => undefined).resume();
      await new Promise((resolve) => socket.write(Buffer.concat([start, bytes]), resolve));
      await lives();
      // Node leaves some of them open until a ping goes unanswered: it is ours to go.
      socket.destroy();
    });
    await fc.assert(property, { numRuns: 50 });
    await lives();
  });
});

describe("Connect over HTTP/1.1", () => {
  const post = (type: string, body: Uint8Array) =>
    fetch(`http://${bare.address}${pathOf("SubmitSnapshot")}`, {
      method: "POST",
      headers: { "content-type": type },
      body: new Uint8Array(body),
    });

  test("random bytes get an answer in Connect's form, as JSON and as binary", async () => {
    const types = fc.constantFrom("application/json", "application/proto");
    const bodies = fc.uint8Array({ maxLength: 300 });
    const property = fc.asyncProperty(types, bodies, async (type, body) => {
      const response = await post(type, body);
      const text = await response.text();
      const code = response.ok ? "ok" : (JSON.parse(text) as { code: string }).code;
      expect(["ok", "invalid_argument"]).toContain(code);
    });
    await fc.assert(property, { numRuns: 200 });
    await bare.memory.reaches(0);
  });

  test("gRPC-Web frames that are cut short are answered with a status", async () => {
    const whole = frame(message);
    for (const at of [0, 1, 5, 100]) {
      const response = await post("application/grpc-web+proto", whole.subarray(0, at));
      // No frame at all is a request without a message.
      const code = at === 0 ? UNIMPLEMENTED : INVALID_ARGUMENT;
      expect(await response.text()).toContain(`grpc-status: ${code}`);
    }
    await bare.memory.reaches(0);
  });

  const LONG = "a".repeat(99);
  test.each([
    ["half a surrogate pair", '"\\ud800"'],
    ["half a pair for a key", '{"\\ud800": 1}'],
    ["half a pair for a key that is there twice", '{"\\ud800": 1, "\\ud800": 2}'],
    ["a key that is cut within a character", `{"${LONG}\u{1F600}": 1}`],
    [
      "such a key twice, deep inside",
      `${'{"a":'.repeat(9)}{"${LONG}\u{1F600}":1,"${LONG}\u{1F600}":2`,
    ],
    ["a character where there may be none", "{\u{1F600}}"],
    ["a text that is cut within a character", `{"priority": "${LONG}\u{1F600}"}`],
  ])("JSON with %s is refused, and not cut off", async (_, json) => {
    const framed = await post("application/grpc-web+json", frame(Buffer.from(json)));
    expect(await framed.text()).toContain("grpc-status: 3");
    const plain = await post("application/json", Buffer.from(json));
    expect(await plain.json()).toMatchObject({ code: "invalid_argument" });
    await bare.memory.reaches(0);
  });

  test("JSON with a whole surrogate pair is read", async () => {
    const pair = Buffer.from('{"requestId": "\\ud83d\\ude00"}');
    expect((await post("application/json", pair)).status).toBe(200);
    await bare.memory.reaches(0);
  });

  test("a content type that no protocol has is refused", async () => {
    expect((await post("text/plain", new Uint8Array(1))).status).toBe(415);
    await bare.memory.reaches(0);
  });
});
