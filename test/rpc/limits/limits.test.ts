/** What is too large, too much or too slow is refused before it is read whole, on both bare. */
import { request as httpRequest } from "node:http";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { limits } from "../../../server/limits.js";
import { HeldClock, startBareServer } from "../../../tools/harness/wire/bare-server.js";
import type { BareServer } from "../../../tools/harness/wire/bare-server.js";
import { frame, pathOf, RawClient } from "../../../tools/harness/wire/raw-grpc.js";

const RESOURCE_EXHAUSTED = 8;
const DEADLINE_EXCEEDED = 4;
const UNIMPLEMENTED = 12;
const FRACTION = new Uint8Array(1000);
const methods = [
  ["SubmitSnapshot", limits.snapshotBytesMax],
  ["VerifyAggregate", limits.verifyBytesMax],
  ["GetServerInfo", limits.requestBytesMax],
  ["StreamResults", limits.requestBytesMax],
] as const;

/** A message of exactly this size: one field that no method knows. */
function messageOf(bytes: number): Uint8Array {
  const tag = [0xc2, 0x3e];
  const padded = bytes - tag.length - 4;
  const length = [0, 7, 14, 21].map((shift) => ((padded >> shift) & 0x7f) | 0x80);
  length[3] = (length[3] ?? 0) & 0x7f;
  const message = new Uint8Array(bytes);
  message.set([...tag, ...length]);
  return message;
}

let bare: BareServer;
const clients: RawClient[] = [];
function connectToServer(): RawClient {
  const client = new RawClient(bare.address);
  clients.push(client);
  return client;
}
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await bare.close();
});

test("a compressed request is refused, naming the encoding", async () => {
  bare = await startBareServer();
  const bomb = frame(gzipSync(new Uint8Array(limits.snapshotBytesMax)));
  bomb.writeUInt8(1, 0);
  const call = connectToServer().call("SubmitSnapshot", { "grpc-encoding": "gzip" });
  expect(await call.end(bomb)).toEqual({
    code: UNIMPLEMENTED,
    message: expect.stringContaining("gzip"),
  });
  await bare.memory.reaches(0);
});

describe("gRPC frames", () => {
  describe("with room", () => {
    beforeEach(async () => {
      bare = await startBareServer();
    });

    test.each(methods)(
      "%s announced over its limit is refused on its first bytes",
      async (method, bytesMax) => {
        const call = connectToServer()
          .call(method)
          .send(frame(FRACTION, bytesMax + 1));
        call.stream.resume();
        expect((await call.status).code).toBe(RESOURCE_EXHAUSTED);
        await bare.memory.reaches(0);
      },
    );

    test.each(methods)("%s of exactly its limit is served", async (method, bytesMax) => {
      const status = await connectToServer()
        .call(method)
        .end(frame(messageOf(bytesMax)));
      expect(status.code).toBe(0);
      await bare.memory.reaches(0);
    });

    test("a caller that goes away in the middle of its message gives its share back", async () => {
      const client = connectToServer();
      client.call("SubmitSnapshot").send(frame(FRACTION, 1_000_000));
      await bare.memory.reaches(limits.requestBytesMax);
      client.close();
      await bare.memory.reaches(0);
    });

    test("a second message in one request is refused", async () => {
      const call = connectToServer().call("GetServerInfo");
      const status = await call.end(Buffer.concat([frame(FRACTION), frame(FRACTION)]));
      expect(status.code).toBe(UNIMPLEMENTED);
      await bare.memory.reaches(0);
    });
  });

  test("what the budget does not hold is refused before its first byte", async () => {
    bare = await startBareServer({ bytesMax: 2 * limits.requestBytesMax - 1 });
    const client = connectToServer();
    const first = client.call("SubmitSnapshot");
    await bare.memory.reaches(limits.requestBytesMax);
    const second = client.call("SubmitSnapshot");
    second.stream.resume();
    expect(await second.status).toMatchObject({
      code: RESOURCE_EXHAUSTED,
      message: expect.stringContaining("overloaded"),
    });
    expect((await first.end(frame(new Uint8Array()))).code).toBe(0);
    await bare.memory.reaches(0);
    expect((await client.call("SubmitSnapshot").end(frame(new Uint8Array()))).code).toBe(0);
  });

  test("what announces much and sends little holds little", async () => {
    const calls = limits.callsPerConnectionMax - 1;
    // One connection has room for its calls where others have for four times as much.
    bare = await startBareServer({ bytesMax: 5 * (calls + 1) * limits.requestBytesMax });
    const client = connectToServer();
    for (let count = 0; count < calls; count++) {
      client.call("SubmitSnapshot").send(frame(FRACTION, limits.snapshotBytesMax));
    }
    await bare.memory.reaches(calls * limits.requestBytesMax);
    expect((await client.call("SubmitSnapshot").end(frame(new Uint8Array()))).code).toBe(0);
  });

  test("what outgrows the budget is refused while it arrives, and gives all of it back", async () => {
    bare = await startBareServer({ bytesMax: 10 * limits.requestBytesMax });
    const client = connectToServer();
    const grows = client.call("SubmitSnapshot").send(frame(new Uint8Array(1), 1_000_000));
    grows.stream.resume();
    await bare.memory.reaches(limits.requestBytesMax);
    grows.send(new Uint8Array(800_000));
    expect(await grows.status).toMatchObject({
      code: RESOURCE_EXHAUSTED,
      message: expect.stringContaining("overloaded"),
    });
    await bare.memory.reaches(0);
    expect((await client.call("SubmitSnapshot").end(frame(new Uint8Array()))).code).toBe(0);
  });

  test("many small pieces count for no more than their bytes", async () => {
    bare = await startBareServer();
    const client = connectToServer();
    const call = client.call("SubmitSnapshot").send(frame(new Uint8Array(1), 1_000_000));
    for (let piece = 0; piece < 300; piece++) {
      await new Promise((resolve) => call.stream.write(new Uint8Array(1), resolve));
    }
    await client.ping();
    expect(bare.memory.heldBytes).toBe(limits.requestBytesMax);
  });

  test("a share shrinks to what was read while the call goes on", async () => {
    let answer = () => {};
    const wait = new Promise<void>((resolve) => (answer = resolve));
    bare = await startBareServer({
      calls: {
        verifyAggregate: async () => {
          await wait;
          throw new Error("a handler that fails gives its share back too");
        },
      },
    });
    const status = connectToServer()
      .call("VerifyAggregate")
      .end(frame(messageOf(100_000)));
    const framingBytes = 5;
    await bare.memory.reaches(100_000 + framingBytes);
    answer();
    expect((await status).code).toBe(13);
    await bare.memory.reaches(0);
  });

  test("a request that does not arrive in time is refused", async () => {
    const clock = new HeldClock();
    bare = await startBareServer({ clock });
    const call = connectToServer().call("SubmitSnapshot").send(frame(FRACTION, 1_000_000));
    call.stream.resume();
    await bare.memory.reaches(limits.requestBytesMax);
    clock.fireAll();
    expect((await call.status).code).toBe(DEADLINE_EXCEEDED);
    await bare.memory.reaches(0);
  });

  test("a call leaves no timer behind", async () => {
    const clock = new HeldClock();
    bare = await startBareServer({ clock });
    const client = connectToServer();
    await client.call("GetServerInfo").end(frame(new Uint8Array()));
    const before = clock.pending;
    await client.call("GetServerInfo").end(frame(new Uint8Array()));
    await bare.memory.reaches(0);
    expect(clock.pending).toBe(before);
  });
});

describe("Connect over HTTP/1.1", () => {
  const post = (headers: Record<string, string | number>) => {
    const [host, port] = bare.address.split(":");
    const path = pathOf("VerifyAggregate");
    const request = httpRequest({ host, port, path, method: "POST", agent: false });
    request.setHeader("content-type", "application/proto");
    for (const [name, value] of Object.entries(headers)) request.setHeader(name, value);
    const answer = new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
      request.on("error", reject);
      request.on("response", (response) => {
        let body = "";
        response.setEncoding("utf8").on("data", (text: string) => (body += text));
        response.on("end", () => resolve({ status: response.statusCode, body }));
      });
    });
    return { request, answer };
  };
  const refusal = (code: string) => ({ body: expect.stringContaining(`"code":"${code}"`) });

  test("an announced length over the limit is refused on its first bytes", async () => {
    bare = await startBareServer();
    const { request, answer } = post({ "content-length": limits.verifyBytesMax + 1 });
    request.write(FRACTION);
    expect(await answer).toMatchObject({ status: 429, ...refusal("resource_exhausted") });
    request.destroy();
    await bare.memory.reaches(0);
  });

  test("a body without a length is refused where it passes the limit", async () => {
    bare = await startBareServer();
    const { request, answer } = post({});
    request.write(new Uint8Array(limits.verifyBytesMax + 100));
    expect(await answer).toMatchObject({ status: 429, ...refusal("resource_exhausted") });
    request.destroy();
    await bare.memory.reaches(0);
  });

  test("a refused caller that sends on to the end keeps its connection and its answer", async () => {
    bare = await startBareServer();
    const { request, answer } = post({ "content-length": 8 * limits.verifyBytesMax });
    request.end(new Uint8Array(8 * limits.verifyBytesMax));
    expect(await answer).toMatchObject({ status: 429 });
  });

  test("an announced length takes no more of the budget than that", async () => {
    const bytes = limits.callBytes + 1000;
    bare = await startBareServer({ bytesMax: bytes });
    const { request, answer } = post({ "content-length": bytes });
    request.flushHeaders();
    await bare.memory.reaches(bytes);
    const second = post({ "content-length": 1 });
    second.request.end("x");
    expect(await second.answer).toMatchObject({ status: 429, ...refusal("resource_exhausted") });
    request.destroy();
    await expect(answer).rejects.toThrow();
    await bare.memory.reaches(0);
  });

  test("a body that does not arrive in time is refused", async () => {
    const clock = new HeldClock();
    bare = await startBareServer({ clock });
    const { request, answer } = post({ "content-length": 1000 });
    request.write("x");
    await bare.memory.reaches(limits.callBytes);
    clock.fireAll();
    expect(await answer).toMatchObject({ status: 504, ...refusal("deadline_exceeded") });
    request.destroy();
  });
});
