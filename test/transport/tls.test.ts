/** TLS on both bare: who gets in, who does not, and what the service learns of who did. */
import { once } from "node:events";
import { request as httpsRequest } from "node:https";
import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ConnectionOptions } from "node:tls";
import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { AggregatorClient } from "../../client/rpc/aggregator-client.js";
import type { TlsOptions } from "../../client/rpc/tls-credentials.js";
import {
  AggregatorService,
  GetSessionResponseSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../server/limits.js";
import type { Peer } from "../../server/net/peer.js";
import { startBareServer } from "../../tools/harness/wire/bare-server.js";
import type { BareServer } from "../../tools/harness/wire/bare-server.js";
import { Authority } from "../../tools/harness/processes/authority.js";
import { filesOf } from "./certificates.js";
import type { Identity } from "../../tools/harness/processes/authority.js";
import { metricValue } from "../helpers/metric-value.js";

const YEAR_MS = 365 * 86_400_000;

const authority = new Authority("fleet");
const stranger = new Authority("elsewhere");
const server = authority.issue({ commonName: "service" });
const node = authority.issue({
  commonName: "node-1",
  uris: ["spiffe://fleet/node-1"],
  dnsNames: ["node-1.example", "odd, name"],
});
const expired = authority.issue({
  notBeforeMs: Date.now() - YEAR_MS,
  notAfterMs: Date.now() - YEAR_MS / 2,
});
const forged = stranger.issue({ commonName: "node-1" });

const files = filesOf({
  ca: authority.certificate,
  strangerCa: stranger.certificate,
  server: server.certificate,
  serverKey: server.key,
  node: node.certificate,
  nodeKey: node.key,
});
const asNode = { ca: files.ca, certificate: files.node, key: files.nodeKey };

const peers: Peer[] = [];
const calls = {
  getSession: (_request: unknown, { peer }: { peer: Peer }) => {
    peers.push(peer);
    return Promise.resolve(create(GetSessionResponseSchema));
  },
};
const settings = { tlsCertificate: files.server, tlsKey: files.serverKey };
let oneWay: BareServer;
let mutual: BareServer;
beforeAll(async () => {
  oneWay = await startBareServer({ calls, tls: settings });
  mutual = await startBareServer({ calls, tls: { ...settings, tlsClientCa: files.ca } });
});
afterAll(() => Promise.all([oneWay.close(), mutual.close()]));

const portOf = ({ address }: BareServer) => Number(address.split(":")[1]);

/** "served" once an answer has come; else why not. */
function tryTls(bare: BareServer, options: ConnectionOptions): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectTls({
      host: "127.0.0.1",
      port: portOf(bare),
      servername: "localhost",
      ca: authority.certificate,
      ALPNProtocols: ["h2"],
      ...options,
    });
    // The server speaks first in HTTP/2, and only to whom it has let in.
    socket.once("data", () => {
      resolve("served");
      socket.destroy();
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.once("close", () => resolve("closed"));
  });
}

const shown = ({ certificate: cert, key }: Identity) => ({ cert, key });

describe("a TLS client", () => {
  const refused = () =>
    metricValue(mutual.metrics.registry, "lean_aggregator_server_connections_cut_total", {
      listener: "nodes",
      cause: "handshake",
    });

  test("a client that trusts the authority is served over TLS 1.3", async () => {
    expect(await tryTls(oneWay, {})).toBe("served");
    expect(await tryTls(oneWay, { minVersion: "TLSv1.3" })).toBe("served");
  });

  test("TLS 1.2 is refused", async () => {
    const answer = await tryTls(oneWay, { maxVersion: "TLSv1.2" });
    expect(answer).toBe("ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION");
  });

  test("a client of another authority's trusts no certificate of ours", async () => {
    expect(await tryTls(oneWay, { ca: stranger.certificate })).not.toBe("served");
  });

  test("with a client authority, its certificates are let in", async () => {
    expect(await tryTls(mutual, shown(node))).toBe("served");
  });

  test.each([
    ["no certificate", {}],
    ["another authority's certificate", shown(forged)],
    ["a certificate that has expired", shown(expired)],
  ])("with a client authority, %s is refused and counted", async (_name, options) => {
    const before = (await refused()) ?? 0;
    expect(await tryTls(mutual, options)).not.toBe("served");
    await expect.poll(refused).toBe(before + 1);
  });

  test("plain text is refused", async () => {
    const socket = connectTcp(portOf(oneWay), "127.0.0.1");
    socket.write("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n");
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk)).on("error", () => undefined);
    await once(socket, "close");
    expect(Buffer.concat(chunks).toString("latin1")).not.toContain("HTTP");
  });

  test("a handshake that does not go on is cut", async () => {
    const startedMs = performance.now();
    const socket = connectTcp(portOf(oneWay), "127.0.0.1");
    socket.on("error", () => undefined);
    await once(socket, "close");
    expect(performance.now() - startedMs).toBeGreaterThan(limits.handshakeMsMax * 0.9);
  });
});

describe("our own client", () => {
  async function call(bare: BareServer, tls: TlsOptions, host = "127.0.0.1"): Promise<string> {
    const address = `https://${host}:${portOf(bare)}`;
    const client = new AggregatorClient({ address, tls });
    try {
      const told = await client.getSession({}, { timeoutMs: 5000 }).catch(
        (error: unknown) => String(error), // what the test expects
      );
      return typeof told === "string" ? told : "served";
    } finally {
      client.close();
    }
  }

  test("is served with the authority, and by mutual TLS with a certificate of it", async () => {
    expect(await call(oneWay, { ca: files.ca })).toBe("served");
    expect(await call(mutual, asNode)).toBe("served");
    expect(await call(mutual, { ca: files.ca })).not.toBe("served");
  });

  test("refuses a server that it has no reason to trust", async () => {
    expect(await call(oneWay, {})).toMatch(/unable to verify|unable to get|self.signed/);
    expect(await call(oneWay, { ca: files.strangerCa })).not.toBe("served");
  });

  test("refuses it also where the environment turns the checks of Node.js off", async () => {
    vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    const answers = [
      await call(oneWay, { ca: files.strangerCa }),
      await call(oneWay, { ca: files.ca, serverName: "other.example" }),
    ];
    vi.unstubAllEnvs();
    for (const answer of answers) expect(answer).not.toBe("served");
  });

  test("expects the address's host in the certificate, or the name that it was given", async () => {
    expect(await call(oneWay, { ca: files.ca }, "localhost")).toBe("served");
    expect(await call(oneWay, { ca: files.ca, serverName: "localhost" })).toBe("served");
    expect(await call(oneWay, { ca: files.ca, serverName: "other.example" })).toContain(
      "other.example",
    );
  });

  test("says at once which file it cannot use", () => {
    const open = (tls: TlsOptions) => new AggregatorClient({ address: "127.0.0.1:1", tls });
    expect(() => open({ ca: "/no/ca.pem" })).toThrow(
      "tls.ca /no/ca.pem cannot be read: it does not exist",
    );
    expect(() => open({ certificate: files.node })).toThrow(
      "tls.key is missing: it is needed with tls.certificate",
    );
    expect(() => open({ certificate: files.node, key: files.serverKey })).toThrow(
      `tls.key ${files.serverKey} is not the key of the certificate ${files.node}`,
    );
  });
});

describe("over TLS", () => {
  const nodeOptions = { ...shown(node), ca: authority.certificate };

  test("Node's https speaks HTTP/1.1", async () => {
    const request = httpsRequest({
      ...nodeOptions,
      host: "127.0.0.1",
      port: portOf(mutual),
      path: "/livez",
    });
    request.end();
    const [response] = (await once(request, "response")) as [{ statusCode: number }];
    expect(response.statusCode).toBe(200);
    request.destroy();
  });

  test.each(["1.1", "2"] as const)("Connect speaks HTTP/%s", async (httpVersion) => {
    const baseUrl = `https://127.0.0.1:${portOf(mutual)}`;
    const transport = createConnectTransport({ baseUrl, httpVersion, nodeOptions });
    await createClient(AggregatorService, transport).getServerInfo({});
  });

  test("gRPC speaks HTTP/2", async () => {
    const baseUrl = `https://127.0.0.1:${portOf(mutual)}`;
    const transport = createGrpcTransport({ baseUrl, nodeOptions });
    await createClient(AggregatorService, transport).getServerInfo({});
  });
});

describe("a call's peer", () => {
  const seenBy = async (bare: BareServer, httpVersion: "1.1" | "2") => {
    peers.length = 0;
    const nodeOptions = { ca: authority.certificate, ...shown(node) };
    const options = { baseUrl: `https://127.0.0.1:${portOf(bare)}`, nodeOptions };
    const transport =
      httpVersion === "2"
        ? createGrpcTransport(options)
        : createConnectTransport({ ...options, httpVersion });
    await createClient(AggregatorService, transport).getSession({});
    return peers;
  };
  const versions = ["2", "1.1"] as const;

  test.each(versions)("has the client's certificate: HTTP/%s", async (version) => {
    const certificate = {
      subjectAltNames: [
        "URI:spiffe://fleet/node-1",
        "DNS:node-1.example",
        "DNS:odd, name",
        "IP Address:127.0.0.1",
      ],
      commonName: "node-1",
      fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
    };
    const peer = { listener: "127.0.0.1:0", transport: "tcp", isEncrypted: true, certificate };
    expect(await seenBy(mutual, version)).toEqual([peer]);
  });

  test.each(versions)("has none that was not asked for: HTTP/%s", async (version) => {
    const peer = { listener: "127.0.0.1:0", transport: "tcp", isEncrypted: true };
    expect(await seenBy(oneWay, version)).toEqual([peer]);
  });
});
