/** Who has to go where no more connections are let in: on both bare, in plain text and over TLS. */
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import type { IncomingMessage } from "node:http";
import { connect as connectHttp2, constants } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import { request as httpsRequest } from "node:https";
import { connect as connectTcp } from "node:net";
import type { Socket } from "node:net";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  GetSessionResponseSchema,
  StreamResultsResponseSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type * as Limits from "../../server/limits.js";
import { startBareServer } from "../../tools/harness/wire/bare-server.js";
import type { BareServer } from "../../tools/harness/wire/bare-server.js";
import { mutualTlsSettings, nodeContext } from "./mutual-tls.js";
import { metricValue } from "../helpers/metric-value.js";
import { frame, pathOf } from "../../tools/harness/wire/raw-grpc.js";

const ROOM = 3;
vi.mock("../../server/limits.js", async (original) => {
  const real = await original<typeof Limits>();
  return { ...real, limits: { ...real.limits, connectionsMax: 3 } };
});

const EMPTY = frame(new Uint8Array());
/** Whether or not with an error. */
const closed = (each: Socket | ClientHttp2Session) =>
  new Promise<void>((resolve) => each.once("close", () => resolve()));

describe.each([
  { name: "in plain text", tls: undefined },
  { name: "over TLS", tls: mutualTlsSettings },
])("HTTP/2 $name", ({ tls }) => {
  let bare: BareServer;
  let clients: { destroy(): unknown }[];
  beforeEach(async () => {
    clients = [];
    bare = await startBareServer({
      ...(tls !== undefined && { tls }),
      calls: {
        getSession: () => Promise.resolve(create(GetSessionResponseSchema)),
        streamResults: async function* (_request, { signal }) {
          yield create(StreamResultsResponseSchema);
          await once(signal, "abort");
        },
      },
    });
  });
  afterEach(async () => {
    for (const client of clients) client.destroy();
    await bare.close();
  });

  const cuts = (cause: string) => {
    const labels = { listener: "nodes", cause };
    return metricValue(
      bare.metrics.registry,
      "lean_aggregator_server_connections_cut_total",
      labels,
    );
  };

  /** A connection on which nothing is sent, not even a handshake. */
  async function mute(): Promise<Socket> {
    const port = Number(bare.address.split(":")[1]);
    const socket = connectTcp({ host: "127.0.0.1", port });
    clients.push(socket);
    socket.on("error", () => undefined).resume();
    await once(socket, "connect");
    return socket;
  }
  /** HTTP/2; settled once the service has spoken. */
  async function connected(): Promise<ClientHttp2Session> {
    const scheme = tls === undefined ? "http" : "https";
    const session = connectHttp2(`${scheme}://${bare.address}`, nodeContext);
    clients.push(session);
    session.on("error", () => undefined);
    await once(session, "remoteSettings");
    return session;
  }
  function begin(session: ClientHttp2Session, method: string): ClientHttp2Stream {
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: pathOf(method),
      [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
      te: "trailers",
    });
    stream.on("error", () => undefined);
    stream.end(EMPTY);
    return stream;
  }
  async function call(session: ClientHttp2Session): Promise<void> {
    const stream = begin(session, "GetSession");
    await once(stream.resume(), "end");
  }
  /** Settled once its first event has come. */
  async function streaming(): Promise<ClientHttp2Stream> {
    const stream = begin(await connected(), "StreamResults");
    await once(stream, "data");
    return stream;
  }

  test("a newcomer is let in, and the one that has been idle for longest ends", async () => {
    const [first, second, third] = [await connected(), await connected(), await connected()];
    for (const session of [second, first, third]) await call(session);
    const ended = closed(second);
    await call(await connected());
    await ended;
    expect([first.destroyed, third.destroyed]).toEqual([false, false]);
    expect([await cuts("displaced"), await cuts("limit")]).toEqual([1, 0]);
  });

  test("one that has never called goes before one that has", async () => {
    const caller = await connected();
    await call(caller);
    const others = [await mute(), await mute()];
    const ended = others.map(closed);
    await call(await connected());
    await ended[0];
    await call(await connected());
    await ended[1];
    expect(caller.destroyed).toBe(false);
    expect(await cuts("displaced")).toBe(2);
  });

  test("an open stream outlasts any number of newcomers", async () => {
    const stream = await streaming();
    for (let at = 0; at < 4 * ROOM; at++) await mute();
    await call(await connected());
    expect(stream.closed).toBe(false);
    expect(await cuts("limit")).toBe(0);
  });

  test("no more connections are open than the limit, and room that is left is used", async () => {
    const streams = [await streaming(), await streaming(), await streaming()];
    await closed(await mute());
    expect([await cuts("displaced"), await cuts("limit")]).toEqual([0, 1]);
    expect(streams.map((stream) => stream.closed)).toEqual([false, false, false]);
    const open = () =>
      metricValue(bare.metrics.registry, "lean_aggregator_server_connections", {
        listener: "nodes",
      });
    expect(await open()).toBe(ROOM);
    const [leaving] = streams;
    leaving?.session?.destroy();
    await expect.poll(open).toBe(ROOM - 1);
    await call(await connected());
    expect(await cuts("displaced")).toBe(0);
  });
});

describe.each([
  { name: "in plain text", tls: undefined },
  { name: "over TLS", tls: mutualTlsSettings },
])("HTTP/1.1 $name", ({ tls }) => {
  test("a call in progress outlasts any number of newcomers", async () => {
    let release = () => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    const getSession = () => released.then(() => create(GetSessionResponseSchema));
    const bare = await startBareServer({
      ...(tls !== undefined && { tls }),
      calls: { getSession },
    });
    const port = Number(bare.address.split(":")[1]);
    const caller = (tls === undefined ? httpRequest : httpsRequest)({
      ...nodeContext,
      port,
      path: pathOf("GetSession"),
      method: "POST",
      headers: { "content-type": "application/json" },
    });
    const answer = once(caller, "response") as Promise<[IncomingMessage]>;
    caller.end("{}");
    await expect.poll(() => bare.memory.heldBytes).toBeGreaterThan(0);
    const newcomers: Socket[] = [];
    for (let at = 0; at < 4 * ROOM; at++) {
      const socket = connectTcp({ host: "127.0.0.1", port }).on("error", () => undefined);
      newcomers.push(socket);
      await once(socket, "connect");
    }
    release();
    const [{ statusCode }] = await answer;
    expect(statusCode).toBe(200);
    for (const socket of newcomers) socket.destroy();
    caller.destroy();
    await bare.close();
  });
});
