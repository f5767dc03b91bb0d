/** What one connection may do and how many there may be, on both bare alike. */
import { once } from "node:events";
import { constants } from "node:http2";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  GetServerInfoResponseSchema,
  GetSessionResponseSchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../server/limits.js";
import { HeldClock, startBareServer } from "../../../tools/harness/wire/bare-server.js";
import type { BareServer } from "../../../tools/harness/wire/bare-server.js";
import { metricValue } from "../../helpers/metric-value.js";
import { frame, pathOf, RawClient } from "../../../tools/harness/wire/raw-grpc.js";
import {
  callHeaders,
  FLAG,
  FRAME,
  frame as http2Frame,
  headersFrame,
  ping,
  PREFACE,
  RawConnection,
  reset,
  settings,
} from "../../../tools/harness/wire/raw-http2.js";

const EMPTY = frame(new Uint8Array());
const OK = 0;
const UNIMPLEMENTED = 12;
/** What a client begins with. */
const HELLO = Buffer.concat([PREFACE, settings()]);

let clock: HeldClock;
let bare: BareServer;
let sockets: Socket[];
/** Resolves once a call of GetSession, which waits until it is released, is with its handler. */
let arrived: Promise<void>;
let release: () => void;
/** Calls of GetServerInfo that were answered. */
let answered: number;
/** Calls of GetSession that have begun. */
let waiting: number;
/** When the last of them was received. */
let receivedAtMs: number;
beforeEach(async () => {
  clock = new HeldClock();
  sockets = [];
  answered = 0;
  waiting = 0;
  let arrive = () => {};
  arrived = new Promise((resolve) => (arrive = resolve));
  const released = new Promise<void>((resolve) => (release = resolve));
  bare = await startBareServer({
    clock,
    calls: {
      getServerInfo: () => {
        answered++;
        return create(GetServerInfoResponseSchema);
      },
      getSession: async (_request, call) => {
        waiting++;
        receivedAtMs = call.receivedAtMs;
        arrive();
        await released;
        return create(GetSessionResponseSchema);
      },
    },
  });
});
afterEach(async () => {
  release();
  for (const socket of sockets) socket.destroy();
  const closed = bare.close();
  clock.fireAll();
  await closed;
});

const cuts = (cause: string) =>
  metricValue(bare.metrics.registry, "lean_aggregator_server_connections_cut_total", {
    listener: "nodes",
    cause,
  });

const openConnections = () =>
  metricValue(bare.metrics.registry, "lean_aggregator_server_connections", { listener: "nodes" });

function dial(): Socket {
  const [host = "", port] = bare.address.split(":");
  const socket = connect({ host, port: Number(port) });
  sockets.push(socket);
  return socket;
}

describe("over HTTP/2", () => {
  async function connected(): Promise<RawClient> {
    const client = new RawClient(bare.address);
    await once(client.session, "remoteSettings");
    return client;
  }
  function goaway({ session }: RawClient): Promise<{ code: number; words: string }> {
    return new Promise((resolve) => {
      session.once("goaway", (code: number, _last: number, words: Buffer) => {
        resolve({ code, words: words.toString() });
      });
    });
  }

  test("an old one gets GOAWAY, and its calls may finish", async () => {
    const client = await connected();
    const status = client.call("GetSession").end(EMPTY);
    await arrived;
    const told = goaway(client);
    clock.skip(limits.connectionAgeMs * 1.1);
    expect(await told).toEqual({ code: constants.NGHTTP2_NO_ERROR, words: "age" });
    release();
    expect(await status).toMatchObject({ code: OK });
    await once(client.session, "close");
    expect(await cuts("age")).toBe(1);
  });

  test("one that stays after GOAWAY is cut after the grace", async () => {
    const client = await connected();
    const status = client.call("GetSession").end(EMPTY);
    await arrived;
    const told = goaway(client);
    clock.skip(limits.connectionAgeMs * 1.1);
    await told;
    clock.skip(limits.connectionGraceMs);
    await expect(status).rejects.toThrow();
  });

  test("one without a call gets GOAWAY, and one with a call does not", async () => {
    const idle = await connected();
    const busy = await connected();
    const status = busy.call("GetSession").end(EMPTY);
    await arrived;
    const told = goaway(idle);
    clock.skip(limits.connectionIdleMs);
    expect(await told).toEqual({ code: constants.NGHTTP2_NO_ERROR, words: "idle" });
    release();
    expect(await status).toMatchObject({ code: OK });
    expect(await cuts("idle")).toBe(1);
    busy.close();
  });

  test("one that pings too often gets gRPC's too_many_pings, and is cut", async () => {
    const client = await connected();
    const told = goaway(client);
    const ended = new Promise<void>((resolve) => client.session.once("close", resolve));
    for (let sent = 0; sent <= limits.pingsMax && !client.session.destroyed; sent++) {
      await client.ping().catch(() => undefined);
    }
    const words = "too_many_pings";
    expect(await told).toEqual({ code: constants.NGHTTP2_ENHANCE_YOUR_CALM, words });
    await ended;
    expect(await cuts("pings")).toBe(1);
  });

  test("one that pings within the limit is kept", async () => {
    const client = await connected();
    for (let beat = 0; beat < 2; beat++) {
      for (let sent = 0; sent < limits.pingsMax * 0.9; sent++) await client.ping();
      clock.skip(limits.pingEveryMs);
      await client.ping();
    }
    expect(await client.call("GetServerInfo").end(EMPTY)).toMatchObject({ code: OK });
    client.close();
  });

  test("one that changes its settings too often gets a reason, and is cut", async () => {
    const client = await RawConnection.open(bare.address, HELLO);
    // The hello has settings of its own.
    for (let sent = 1; sent < limits.settingsMax; sent++) await client.write(settings());
    await client.write(ping());
    await expect.poll(() => client.received.get(FRAME.PING)).toBe(1);
    expect([client.isOpen, await cuts("settings")]).toEqual([true, 0]);
    await client.write(settings());
    await client.closed;
    expect(client.ending).toBe("ENHANCE_YOUR_CALM");
    expect(await cuts("settings")).toBe(1);
  });

  test("the next from the address of one that was cut waits a moment, and no open one does", async () => {
    const open = await connected();
    const rude = await RawConnection.open(bare.address, HELLO);
    await rude.write(...Array.from({ length: limits.settingsMax + 1 }, () => settings()));
    await rude.closed;
    let isServed = false;
    const next = connected().then((client) => {
      isServed = true;
      client.close();
    });
    expect(await open.call("GetServerInfo").end(EMPTY)).toMatchObject({ code: OK });
    expect(isServed).toBe(false);
    const skipped = () => {
      clock.skip(limits.penaltyEveryMs);
      return isServed;
    };
    await expect.poll(skipped).toBe(true);
    await next;
    open.close();
  });

  test("one that is reset while it waits ends nothing but itself", async () => {
    const rude = await RawConnection.open(bare.address, HELLO);
    await rude.write(...Array.from({ length: limits.settingsMax + 1 }, () => settings()));
    await rude.closed;
    await expect.poll(openConnections).toBe(0);
    const waiting = dial();
    await expect.poll(openConnections).toBe(1);
    waiting.resetAndDestroy();
    await expect.poll(openConnections).toBe(0);
    clock.skip(limits.penaltyMs);
    const client = await connected();
    expect(await client.call("GetServerInfo").end(EMPTY)).toMatchObject({ code: OK });
    client.close();
  });

  test("one that sends all its calls at once does not hold up another", async () => {
    const quiet = await connected();
    const crowd = await RawConnection.open(bare.address, HELLO);
    const block = callHeaders(pathOf("GetServerInfo"));
    const calls = Array.from({ length: limits.callsPerConnectionMax }, () => {
      const stream = crowd.stream();
      const body = http2Frame(FRAME.DATA, FLAG.END_STREAM, stream, EMPTY);
      return Buffer.concat([headersFrame(stream, block), body]);
    });
    void crowd.write(...calls);
    expect(await quiet.call("GetServerInfo").end(EMPTY)).toMatchObject({ code: OK });
    expect(answered).toBeLessThanOrEqual(limits.callsPerConnectionMax);
    await expect.poll(() => answered).toBe(limits.callsPerConnectionMax + 1);
    quiet.close();
    crowd.close();
  });

  test("a request that ends without a body is refused at once", async () => {
    const client = await connected();
    expect(await client.call("GetServerInfo").end()).toMatchObject({ code: UNIMPLEMENTED });
    client.close();
  });

  const pingsOf = (client: RawConnection) => client.received.get(FRAME.PING) ?? 0;

  /**
   * Starts calls and resets each before it can be answered: as many at a time as may be open, since
   * Node.js from 22 on does not report more of them. Then a ping shows that the server has read them.
   */
  async function takeBack(client: RawConnection, count: number, code?: number): Promise<void> {
    const block = callHeaders(pathOf("GetServerInfo"));
    for (let left = count; left > 0; left -= limits.callsPerConnectionMax) {
      const calls = Array.from({ length: Math.min(left, limits.callsPerConnectionMax) }, () => {
        const stream = client.stream();
        return Buffer.concat([headersFrame(stream, block), reset(stream, code)]);
      });
      const before = pingsOf(client);
      await client.write(...calls, ping());
      await expect.poll(() => pingsOf(client) > before || !client.isOpen).toBe(true);
    }
  }

  test.each([
    ["CANCEL", constants.NGHTTP2_CANCEL],
    ["NO_ERROR", constants.NGHTTP2_NO_ERROR],
  ])("one that starts calls and resets them with %s gets a reason, and is cut", async (_, code) => {
    const client = await RawConnection.open(bare.address, HELLO);
    await takeBack(client, limits.resetsMax + 1, code);
    await client.closed;
    expect(client.ending).toBe("ENHANCE_YOUR_CALM");
    expect(await cuts("resets")).toBe(1);
  });

  test("one that resets as many calls as it may is kept, and is cut at one more", async () => {
    const client = await RawConnection.open(bare.address, HELLO);
    await takeBack(client, limits.resetsMax);
    const before = pingsOf(client);
    clock.skip(limits.pingEveryMs);
    await expect.poll(() => pingsOf(client)).toBe(before + 1);
    await takeBack(client, limits.resetsMax);
    expect([client.isOpen, await cuts("resets")]).toEqual([true, 0]);
    await takeBack(client, 1);
    await client.closed;
    expect(await cuts("resets")).toBe(1);
  });

  test("one that answers no ping is cut", async () => {
    const mute = dial();
    const noSettings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    mute.write(Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), noSettings]));
    await once(mute, "data");
    const ended = once(mute, "close");
    clock.skip(limits.pingEveryMs);
    clock.skip(limits.pingEveryMs);
    await ended;
    expect(await cuts("silent")).toBe(1);
  });

  test("a call with headers beyond the limit is refused, and the next is served", async () => {
    const client = await connected();
    const large = client.call("GetServerInfo", { "x-large": "x".repeat(limits.headerBytesMax) });
    await expect(large.end(EMPTY)).rejects.toThrow();
    const next = new RawClient(bare.address);
    expect(await next.call("GetServerInfo").end(EMPTY)).toMatchObject({ code: OK });
    next.close();
    client.session.destroy();
  });
});

describe("over HTTP/1.1", () => {
  const post = (headers: Record<string, string> = {}) =>
    fetch(`http://${bare.address}${pathOf("GetServerInfo")}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: "{}",
    });

  test("refuses headers beyond the limit", async () => {
    expect((await post({ "x-large": "x".repeat(limits.headerBytesMax) })).status).toBe(431);
  });

  test("ends an old connection with its next answer", async () => {
    const socket = dial();
    const request = "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
    const ask = async () => {
      socket.write(request);
      const [answer] = (await once(socket, "data")) as [Buffer];
      return answer.toString();
    };
    expect(await ask()).toContain("Connection: keep-alive");
    clock.skip(limits.connectionAgeMs + 1);
    expect(await ask()).toContain("Connection: close");
    await once(socket, "close");
  });

  test("a body that does not come is not waited for once the call is answered", async () => {
    const socket = dial();
    socket.write("GET /livez HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n");
    await once(socket, "data");
    const later = () => clock.skip(limits.requestReadMsMax);
    await expect.poll(() => (later(), socket.destroyed)).toBe(true);
  });

  /** Sends calls on one connection before any is answered; `statuses` are those that have come. */
  function pipelined(...methods: string[]): { socket: Socket; statuses: () => string[] } {
    const head = ["host: localhost", "content-type: application/json", "content-length: 2"];
    const socket = dial();
    let received = "";
    socket.setEncoding("latin1").on("data", (text: string) => (received += text));
    const calls = methods.map(
      (method) => `POST ${pathOf(method)} HTTP/1.1\r\n${head.join("\r\n")}\r\n\r\n{}`,
    );
    socket.write(calls.join(""));
    return { socket, statuses: () => received.match(/HTTP\/1\.1 \d+ \w+/g) ?? [] };
  }
  const many = (count: number) => Array.from({ length: count }, () => "GetSession");
  const OK_LINE = "HTTP/1.1 200 OK";

  test("calls that are sent ahead begin one after another, and hold nothing before", async () => {
    const count = limits.callsPerConnectionMax;
    const { statuses } = pipelined("GetServerInfo", ...many(count - 2), "GetServerInfo");
    await arrived;
    await expect.poll(statuses).toEqual([OK_LINE]);
    expect([answered, waiting]).toEqual([1, 1]);
    expect(bare.memory.heldBytes).toBe(limits.callBytes);
    release();
    await expect.poll(statuses).toEqual(Array.from({ length: count }, () => OK_LINE));
    expect([answered, waiting, await cuts("calls")]).toEqual([2, count - 2, 0]);
    await bare.memory.reaches(0);
  });

  test("a call that is sent ahead was received when it came", async () => {
    const { statuses } = pipelined(...many(2));
    await arrived;
    const sentAtMs = clock.nowMs();
    clock.skip(1000);
    release();
    await expect.poll(statuses).toEqual([OK_LINE, OK_LINE]);
    expect(receivedAtMs).toBeLessThanOrEqual(sentAtMs);
  });

  test("one with more calls than it may have is cut, and leaves nothing behind", async () => {
    const { socket } = pipelined(...many(limits.callsPerConnectionMax + 10));
    await once(socket, "close");
    expect([waiting, await cuts("calls")]).toEqual([1, 1]);
    await bare.memory.reaches(0);
  });

  test("calls that were sent ahead never begin once their caller has left", async () => {
    const { socket } = pipelined(...many(10));
    await arrived;
    socket.destroy();
    await bare.memory.reaches(0);
    release();
    expect((await post()).status).toBe(200);
    expect(waiting).toBe(1);
  });
});
