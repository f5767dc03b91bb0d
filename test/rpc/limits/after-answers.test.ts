/** What follows an answer on its connection: a reset, the next call, or nothing at all. */
import { connect as connectTls } from "node:tls";
import { create } from "@bufbuild/protobuf";
import { afterEach, expect, test } from "vitest";
import { GetSessionResponseSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../server/limits.js";
import type { Calls } from "../../../server/rpc/handlers.js";
import { startBareServer } from "../../../tools/harness/wire/bare-server.js";
import type { BareOptions, BareServer } from "../../../tools/harness/wire/bare-server.js";
import { files } from "../../transport/mutual-tls.js";
import { frame as grpcFrame, pathOf, RawClient } from "../../../tools/harness/wire/raw-grpc.js";
import {
  callHeaders,
  FLAG,
  FRAME,
  frame,
  headersFrame,
  RawConnection,
  settings,
} from "../../../tools/harness/wire/raw-http2.js";

const EMPTY = grpcFrame(new Uint8Array());

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start(options: BareOptions): Promise<BareServer> {
  const server = await startBareServer(options);
  closers.push(() => server.close());
  return server;
}

/** Lets what is ready happen: both ends are in this process. */
async function turns(): Promise<void> {
  for (let at = 0; at < 50; at++) await new Promise((resolve) => setImmediate(resolve));
}

test("on HTTP/2 only a caller that still sends is reset, after the answer's end", async () => {
  // Everybody is denied, before a request is read.
  const { address, memory } = await start({ policy: { principals: [] } });
  const connection = await RawConnection.open(address);
  closers.push(() => connection.close());
  const headers = callHeaders(pathOf("GetServerInfo"), {
    "content-type": "application/grpc-web+proto",
  });
  const [whole, unfinished] = [connection.stream(), connection.stream()];
  await connection.write(
    settings(),
    headersFrame(whole, headers),
    frame(FRAME.DATA, FLAG.END_STREAM, whole, EMPTY),
    headersFrame(unfinished, headers),
  );
  await expect.poll(() => connection.streamEnds.get(unfinished)).toEqual(["last frame", "reset"]);
  expect(connection.streamEnds.get(whole)).toEqual(["last frame"]);
  await memory.reaches(0);
});

test("over TLS the next call on an HTTP/1.1 connection waits for the answer before it", async () => {
  // More than the sockets of both ends take by themselves.
  const bytes = 20 * 1024 * 1024;
  const getSession: Calls["getSession"] = (_request, { holdAnswer }) => {
    holdAnswer(bytes);
    const outcomes = [{ proof: new Uint8Array(bytes) }];
    return Promise.resolve(create(GetSessionResponseSchema, { session: { outcomes } }));
  };
  const tls = { tlsCertificate: files.server, tlsKey: files.serverKey, tlsClientCa: undefined };
  const { address, memory } = await start({ tls, calls: { getSession } });
  const [host = "", port] = address.split(":");
  const socket = connectTls({ host, port: Number(port), rejectUnauthorized: false });
  closers.push(() => socket.destroy());
  const post = (method: string, body: Uint8Array) => {
    const head = [
      "host: localhost",
      "content-type: application/proto",
      `content-length: ${body.length}`,
    ];
    const text = `POST ${pathOf(method)} HTTP/1.1\r\n${head.join("\r\n")}\r\n\r\n`;
    socket.write(Buffer.concat([Buffer.from(text), body]));
  };
  post("GetSession", new Uint8Array());
  await memory.reaches(limits.callBytes + bytes);
  // An unknown field of 20 kB: more than one TLS record, sent in one piece.
  const field = [0xc2, 0x3e, 0xa0, 0x9c, 0x01];
  post("GetServerInfo", Buffer.concat([Buffer.from(field), Buffer.alloc(20_000)]));
  await turns();

  let tail = "";
  let answers = 0;
  await new Promise<void>((resolve, reject) => {
    socket.on("close", () => reject(new Error(`closed after ${answers} answers`)));
    socket.on("data", (chunk: Buffer) => {
      const text = tail + chunk.toString("latin1");
      answers += text.split("HTTP/1.1 200 ").length - 1;
      tail = text.slice(-"HTTP/1.1 200".length);
      if (answers === 2) resolve();
    });
  });
});

test.each([
  ["gRPC", "application/grpc", EMPTY],
  // Its error would have a body, which cannot be written any more.
  ["Connect", "application/json", "{}"],
])("a caller of %s that leaves while it waits is no warning in the log", async (_, type, body) => {
  const lines: unknown[] = [];
  const note = (...line: unknown[]) => void lines.push(line);
  let asked = () => {};
  const isAsked = new Promise<void>((resolve) => (asked = resolve));
  const getSession: Calls["getSession"] = async (_request, { signal }) => {
    const gone = new Promise((resolve) => signal.addEventListener("abort", resolve));
    asked();
    await gone;
    return create(GetSessionResponseSchema);
  };
  const { address, memory } = await start({
    log: { debug: () => {}, info: note, warn: note, error: note },
    calls: { getSession },
  });
  const client = new RawClient(address);
  client.call("GetSession", { "content-type": type }).stream.end(body);
  await isAsked;
  client.close();
  await memory.reaches(0);
  await turns();
  expect(lines).toEqual([]);
});
