/** The nodes' address: what it serves besides calls, and which protocol it takes a caller for. */
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { limits } from "../../../server/limits.js";
import { HeldClock, startBareServer } from "../../../tools/harness/wire/bare-server.js";
import type { BareServer } from "../../../tools/harness/wire/bare-server.js";
import { frame, pathOf, RawClient } from "../../../tools/harness/wire/raw-grpc.js";

const UNIMPLEMENTED = 12;
const EMPTY = frame(new Uint8Array());

let bare: BareServer;
let seen: { callDeadlineMs: number | undefined; isWholeSecondAgo: boolean }[];
let clock: HeldClock;
const sockets: Socket[] = [];
beforeEach(async () => {
  seen = [];
  clock = new HeldClock();
  bare = await startBareServer({
    clock,
    calls: {
      getSession: (_request, { callDeadlineMs, receivedAtMs }) => {
        seen.push({ callDeadlineMs, isWholeSecondAgo: clock.nowMs() - receivedAtMs >= 1000 });
        return Promise.reject(new Error("not asked for"));
      },
    },
  });
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  const closed = bare.close();
  clock.fireAll();
  await closed;
});

const url = (path: string) => `http://${bare.address}${path}`;
function dial(): Socket {
  const [host, port] = bare.address.split(":");
  const socket = connect({ host: host ?? "", port: Number(port), allowHalfOpen: true });
  sockets.push(socket);
  return socket;
}
async function textOf(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

describe("plain pages", () => {
  test.each(["/livez", "/readyz", "/metrics"])(
    "%s answers GET and HEAD, by path alone",
    async (path) => {
      for (const method of ["GET", "HEAD"]) {
        const response = await fetch(url(`${path}?probe=1`), { method });
        expect(response.status).toBe(200);
        expect((await response.text()) === "").toBe(method === "HEAD");
      }
    },
  );

  test.each(["/livez", "/metrics"])(
    "%s refuses other methods, and says which it takes",
    async (path) => {
      const response = await fetch(url(path), { method: "POST", body: "x" });
      expect(response.status).toBe(405);
      expect(response.headers.get("allow")).toBe("GET, HEAD");
    },
  );

  test("a call by GET is refused, and an unknown page is not found", async () => {
    const call = await fetch(url(pathOf("GetServerInfo")));
    expect([call.status, call.headers.get("allow")]).toEqual([405, "POST"]);
    expect((await fetch(url("/nope"))).status).toBe(404);
  });

  test("HTTP/2 gets them too", async () => {
    const session = connectHttp2(url(""));
    const stream = session.request({ ":path": "/readyz" });
    const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
    expect(headers[":status"]).toBe(200);
    session.destroy();
  });
});

describe("calls that nobody serves", () => {
  const paths = ["/no.such.Service/Call", pathOf("NoSuchMethod")];

  test.each(paths)("%s over gRPC is unimplemented", async (path) => {
    const client = new RawClient(bare.address);
    const status = await client.call(path).end(EMPTY);
    expect(status).toEqual({ code: UNIMPLEMENTED, message: `${path} is not served here` });
    client.close();
  });

  test.each(paths)("%s over gRPC-Web is unimplemented", async (path) => {
    const headers = { "content-type": "application/grpc-web+proto" };
    const response = await fetch(url(path), { method: "POST", headers, body: EMPTY });
    expect([response.status, response.headers.get("grpc-status")]).toEqual([200, "12"]);
  });

  test.each(paths)("%s over Connect is unimplemented", async (path) => {
    const headers = { "content-type": "application/json" };
    const response = await fetch(url(path), { method: "POST", headers, body: "{}" });
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ code: "unimplemented" });
  });
});

describe("a call's own timeout", () => {
  const grpc = async (timeout: string) => {
    const client = new RawClient(bare.address);
    const { code } = await client.call("GetSession", { "grpc-timeout": timeout }).end(EMPTY);
    client.close();
    return { code, seen };
  };

  test.each([
    ["1500m", 1500],
    ["2S", 2000],
    ["2147483S", 2_147_483_000],
    // Longer than any timer: means none, and is not over at once.
    ["720H", undefined],
    ["2147484S", undefined],
    ["99999999H", undefined],
  ])("grpc-timeout %s reaches the handler", async (timeout, callDeadlineMs) => {
    expect(await grpc(timeout)).toEqual({
      code: 13,
      seen: [{ callDeadlineMs, isWholeSecondAgo: false }],
    });
  });

  test("grpc-timeout 0m is over on arrival", async () => {
    expect(await grpc("0m")).toEqual({ code: 4, seen: [] });
  });

  test.each(["soon", "-1S", "1", "S", "1.5S", "1 S", "1s", "123456789m", "1e3m", "", "1S, 2S"])(
    "grpc-timeout %j, which cannot be read, is refused by name",
    async (timeout) => {
      const client = new RawClient(bare.address);
      const call = client.call("GetSession", { "grpc-timeout": timeout });
      const { code, message } = await call.end(EMPTY);
      client.close();
      expect({ code, seen }).toEqual({ code: 3, seen: [] });
      expect(message).toMatch(/^grpc-timeout: is ".*", expected 1 to 8 digits and one of/);
    },
  );

  test.each([
    ["30", 500, 30],
    ["2147483647", 500, 2_147_483_647],
    ["2147483648", 500, "none"],
    ["9999999999", 500, "none"],
    ["0", 504, undefined],
    ["99999999999", 400, undefined],
    ["-1", 400, undefined],
    ["soon", 400, undefined],
  ])("connect-timeout-ms %s", async (timeout, status, callDeadlineMs) => {
    const headers = { "content-type": "application/json", "connect-timeout-ms": timeout };
    const request = { method: "POST", headers, body: "{}" };
    expect((await fetch(url(pathOf("GetSession")), request)).status).toBe(status);
    expect(seen.map((call) => call.callDeadlineMs ?? "none")).toEqual(
      callDeadlineMs === undefined ? [] : [callDeadlineMs],
    );
  });

  test("receipt is when the headers arrived, not when the body did", async () => {
    const client = new RawClient(bare.address);
    const call = client.call("GetSession");
    await bare.memory.reaches(64 * 1024);
    const nowMs = clock.nowMs();
    clock.nowMs = () => nowMs + 1000;
    expect((await call.end(EMPTY)).code).toBe(13);
    expect(seen).toEqual([{ callDeadlineMs: undefined, isWholeSecondAgo: true }]);
    client.close();
  });
});

describe("a connection", () => {
  const HTTP1 = "GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

  test("byte by byte is understood as well", async () => {
    const socket = dial().setNoDelay();
    for (const byte of HTTP1) await new Promise((resolve) => socket.write(byte, resolve));
    expect(await textOf(socket)).toContain("200 OK");
  });

  test("that begins like HTTP/2 and is not is closed", async () => {
    const socket = dial();
    socket.write("PRINT /livez HTTP/1.1\r\nhost: localhost\r\n\r\n");
    expect(await textOf(socket)).not.toContain("200");
  });

  test("of another protocol is answered as a bad request", async () => {
    const socket = dial();
    socket.write("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n");
    expect(await textOf(socket)).toContain("400 Bad Request");
  });

  test("that is half-closed after its request gets its answer", async () => {
    const socket = dial();
    socket.end(HTTP1);
    expect(await textOf(socket)).toContain("200 OK");
  });

  test.each(["", "P", "PR"])("that ends or stays after %j is let go", async (start) => {
    const ended = dial();
    ended.end(start);
    await textOf(ended);
    const silent = dial();
    await once(silent, "connect");
    silent.write(start);
    const closed = textOf(silent);
    // A round trip: the server has accepted it by then, and set its timer.
    await fetch(url("/livez"));
    clock.fireAll();
    expect(await closed).toBe("");
  });

  test("of HTTP/2 is kept while its pings are answered, and cut when not", async () => {
    const client = new RawClient(bare.address);
    await once(client.session, "remoteSettings");
    const mute = dial();
    const noSettings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    mute.write(Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), noSettings]));
    await once(mute, "data");
    const cut = once(mute, "end");
    for (let beat = 0; beat < 3; beat++) {
      clock.fireAll();
      await client.ping();
    }
    await cut;
    expect(client.session.destroyed).toBe(false);
    client.close();
  });

  test("of HTTP/2 that the service's close finds idle is closed at once", async () => {
    const client = new RawClient(bare.address);
    await once(client.session, "remoteSettings");
    const gone = once(client.session, "close");
    await bare.server.close(60_000);
    await gone;
    await expect(fetch(url("/livez"))).rejects.toThrow();
  });

  test("whose caller does not read its answer is cut at the close's bound", async () => {
    const client = new RawClient(bare.address);
    const call = client.call("GetServerInfo");
    call.stream.end(EMPTY);
    await call.status;
    const closed = bare.server.close(1);
    await once(client.session, "goaway");
    clock.fireAll();
    await closed;
  });

  test("with a call that does not end is cut at the close's bound", async () => {
    const client = new RawClient(bare.address);
    const call = client.call("SubmitSnapshot");
    await bare.memory.reaches(64 * 1024);
    const socket = dial();
    socket.write(`POST ${pathOf("SubmitSnapshot")} HTTP/1.1\r\nhost: localhost\r\n`);
    socket.write("content-type: application/json\r\ncontent-length: 9\r\n\r\n");
    await bare.memory.reaches(64 * 1024 + limits.callBytes);
    const closed = bare.server.close(1);
    clock.fireAll();
    await closed;
    await expect(call.status).rejects.toThrow();
    await bare.memory.reaches(0);
  });
});
