/** What a web page on the service's machine can reach, by DNS rebinding: nothing, at any listener. */
import { once } from "node:events";
import { request as requestHttp1 } from "node:http";
import type { IncomingMessage } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Service } from "../../../server/service.js";
import { Gate } from "../../../tools/harness/wire/contract.js";
import { frame, pathOf, RawClient } from "../../../tools/harness/wire/raw-grpc.js";
import { startTestService } from "../../helpers/start-service.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";

const INFO = pathOf("GetServerInfo");
const LIST = "/lean.aggregator.admin.v1.AdminService/ListProvers";
const folder = temporaryFolder();
let service: Service;
let socketPath: string;
beforeAll(async () => {
  socketPath = join(folder, "nodes.sock");
  const listen = ["127.0.0.1:0", `unix:${socketPath}`];
  service = await startTestService(new Gate().startProver, {
    listen,
    allowedHosts: "fleet.example,other.example",
  });
});
afterAll(() => service.close());

interface Asked {
  path: string;
  method?: string;
  headers: Record<string, string>;
  body?: string;
}

async function ask(at: string, { path, method = "POST", headers, body = "{}" }: Asked) {
  const where = at.startsWith("unix:")
    ? { socketPath: at.slice("unix:".length) }
    : { host: "127.0.0.1", port: Number(at.split(":")[1]) };
  const sent = requestHttp1({ ...where, path, method, headers, agent: false });
  sent.end(method === "POST" ? body : undefined);
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode, text: Buffer.concat(chunks).toString(), response };
}

const nodes = () => service.addresses[0] ?? "";
const json = { "content-type": "application/json" };
const evil = { host: "evil.example:9190" };

describe.each([
  ["nodes' calls", nodes, { path: INFO, headers: json }],
  ["nodes' pages", nodes, { path: "/metrics", method: "GET", headers: {} }],
  ["operator's calls", () => service.operatorAddress ?? "", { path: LIST, headers: json }],
  ["probes", () => service.probesAddress ?? "", { path: "/metrics", method: "GET", headers: {} }],
])("the %s", (_name, at, asked: Asked) => {
  const status = async (headers: Record<string, string>) => {
    const answer = await ask(at(), { ...asked, headers: { ...asked.headers, ...headers } });
    if (answer.status !== 200 && answer.response.headers["grpc-status"] === undefined) {
      expect(JSON.parse(answer.text)).toEqual({
        code: "permission_denied",
        message: expect.stringContaining("--allowed-hosts"),
      });
    }
    return answer.status;
  };

  test("answer a page by the name of its site with 403", async () => {
    expect(await status(evil)).toBe(403);
    expect(await status({ ...evil, origin: "http://evil.example:9190" })).toBe(403);
    expect(await status({ host: "localhost", origin: "http://evil.example" })).toBe(403);
    expect(await status({ host: "localhost", origin: "null" })).toBe(403);
    // A page's GET says no Origin, and may say any content type.
    if (asked.method === "GET") {
      expect(await status({ ...evil, "content-type": "application/grpc" })).toBe(403);
    }
  });

  test("serve loopback names, addresses, and the names of --allowed-hosts", async () => {
    for (const host of ["localhost:1", "node.localhost", "127.0.0.1", "[::1]:9", "fleet.example"]) {
      expect(await status({ host })).toBe(200);
      expect(await status({ host, origin: `http://${host}` })).toBe(200);
    }
  });

  test("are the same over HTTP/2 in plain text", async () => {
    const session = connectHttp2(`http://${at()}`);
    const statusOf = async (headers: Record<string, string>) => {
      const { path, method = "POST" } = asked;
      const stream = session.request(
        { ":path": path, ":method": method, ...asked.headers, ...headers },
        { endStream: method === "GET" },
      );
      if (method === "POST") stream.end("{}");
      const [answer] = (await once(stream, "response")) as [{ ":status"?: number }];
      stream.resume();
      await once(stream, "close");
      return answer[":status"];
    };
    expect(await statusOf({})).toBe(200);
    expect(await statusOf({ ":authority": "evil.example" })).toBe(403);
    expect(await statusOf({ ":authority": "localhost", origin: "http://evil.example" })).toBe(403);
    expect(await statusOf({ ":authority": "localhost" })).toBe(200);
    session.close();
    await once(session, "close");
  });
});

test("each protocol of a browser gets PERMISSION_DENIED in its own form", async () => {
  const call = (type: string, more = {}) =>
    ask(nodes(), { path: INFO, headers: { "content-type": type, ...evil, ...more } });
  for (const type of ["application/grpc-web+proto", "application/grpc-web-text"]) {
    const { status, response } = await call(type);
    expect([status, response.headers["grpc-status"]]).toEqual([403, "7"]);
    expect(decodeURIComponent(String(response.headers["grpc-message"]))).toContain("evil.example");
  }
  for (const type of ["application/connect+json", "text/plain", "multipart/form-data", ""]) {
    expect((await call(type)).text).toContain("permission_denied");
  }
  const grpc = await call("application/grpc", { origin: "http://evil.example" });
  expect([grpc.status, grpc.response.headers["grpc-status"]]).toEqual([403, "7"]);
});

test("a preflight of another site's page is refused, and no answer allows an origin", async () => {
  const preflight = (origin: string) =>
    ask(nodes(), {
      path: INFO,
      method: "OPTIONS",
      headers: { host: "localhost", origin, "access-control-request-method": "POST" },
    });
  const refused = await preflight("http://evil.example");
  expect(refused.status).toBe(403);
  const own = await preflight("http://localhost:3000");
  expect(own.status).toBe(405);
  for (const { response } of [refused, own]) {
    expect(Object.keys(response.headers).join()).not.toContain("access-control");
  }
});

test("repeated headers and whole URLs do not get past; no Host at all is no browser", async () => {
  const [host = "", port] = nodes().split(":");
  const send = async (text: string) => {
    const socket = connect({ host, port: Number(port) });
    socket.end(text.replaceAll("\n", "\r\n"));
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    return /^HTTP\/1\.1 (\d+)/.exec(Buffer.concat(chunks).toString())?.[1];
  };
  const close = "Connection: close\n\n";
  expect(await send(`GET /livez HTTP/1.1\nHost: localhost\nHost: evil.example\n${close}`)).toBe(
    "403",
  );
  expect(await send(`GET http://evil.example/livez HTTP/1.1\nHost: localhost\n${close}`)).toBe(
    "403",
  );
  expect(await send(`GET /livez HTTP/1.0\nHost: evil.example\n\n`)).toBe("403");
  expect(await send(`GET /livez HTTP/1.0\n\n`)).toBe("200");
  expect(await send(`GET /livez HTTP/1.1\n${close}`)).toBe("400");
});

test("gRPC without an Origin and Unix sockets are served by any name", async () => {
  const client = new RawClient(nodes());
  const { code } = await client
    .call("GetServerInfo", { ":authority": "fleet.elsewhere.example" })
    .end(frame(new Uint8Array()));
  expect(code).toBe(0);
  client.session.destroy();
  const { status } = await ask(`unix:${socketPath}`, {
    path: INFO,
    headers: { ...json, ...evil, origin: "http://evil.example" },
  });
  expect(status).toBe(200);
});
