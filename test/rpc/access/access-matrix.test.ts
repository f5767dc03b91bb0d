/**
 * Who may do what: every kind of caller with every call, over two protocols, against the tables below.
 * `yes` is served, `no` is PERMISSION_DENIED, `who?` is UNAUTHENTICATED.
 */
import { connect } from "node:net";
import type { Interceptor } from "@connectrpc/connect";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AggregatorService } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import type { Service } from "../../../server/service.js";
import { attempt, attempts, parseMatrix, policyFile, tokenOf } from "./access-matrix.js";
import type { AggregatorClient } from "../../../tools/harness/wire/contract.js";
import { Authority } from "../../../tools/harness/processes/authority.js";
import { filesOf } from "../../transport/certificates.js";
import { freshPath } from "../../helpers/command-line.js";
import { startTestService } from "../../helpers/start-service.js";

const everyCall = parseMatrix(`
who                                         | Submit | Stream | Get  | Cancel | Verify | Info
certificate, by its alternative name        | yes    | yes    | yes  | yes    | yes    | yes
certificate, by its common name             | yes    | yes    | yes  | yes    | yes    | yes
certificate with the other's name as common | who?   | who?   | who? | who?   | who?   | who?
certificate of nobody                       | who?   | who?   | who? | who?   | who?   | who?
certificate of nobody, with a good token    | who?   | who?   | who? | who?   | who?   | who?
certificate, for another node               | no     | no     | no   | no     | no     | yes
certificate for two calls                   | no     | yes    | yes  | no     | no     | no
token                                       | yes    | yes    | yes  | yes    | yes    | yes
token over TLS                              | yes    | yes    | yes  | yes    | yes    | yes
token for two calls                         | no     | yes    | yes  | no     | no     | no
token for backlog, at the default priority  | no     | no     | no   | no     | no     | no
token, for another node                     | no     | no     | no   | no     | no     | yes
token that has expired                      | who?   | who?   | who? | who?   | who?   | who?
token that is unknown                       | who?   | who?   | who? | who?   | who?   | who?
password instead of a token                 | who?   | who?   | who? | who?   | who?   | who?
Unix socket                                 | yes    | yes    | yes  | yes    | yes    | yes
token of an operator                        | no     | no     | no   | no     | no     | no
Unix socket, for another node               | no     | no     | no   | no     | no     | yes
Unix socket for two calls                   | no     | yes    | yes  | no     | no     | no
Unix socket of nobody                       | who?   | who?   | who? | who?   | who?   | who?
Unix socket of nobody, with a token         | yes    | yes    | yes  | yes    | yes    | yes
loopback                                    | no     | no     | no   | no     | no     | yes
loopback over TLS                           | no     | no     | no   | no     | no     | yes
loopback, the policy has nobody anonymous   | who?   | who?   | who? | who?   | who?   | who?
loopback, no policy file                    | yes    | yes    | yes  | yes    | yes    | yes
unknown token, no policy file               | yes    | yes    | yes  | yes    | yes    | yes
`);

type Door =
  "plain" | "tls" | "mtls" | "socket" | "narrowSocket" | "otherSocket" | "strict" | "open";
interface Caller {
  door: Door;
  identity?: keyof typeof identities;
  authorization?: string;
  nodeId?: string;
}

const authority = new Authority("the fleet's");
const identities = {
  node1: authority.issue({ dnsNames: ["node-1.example", "localhost"], commonName: "any" }),
  node2: authority.issue({ dnsNames: [], ips: [], commonName: "node-2" }),
  disguised: authority.issue({ dnsNames: ["node-9.example"], commonName: "node-2" }),
  reader: authority.issue({ dnsNames: ["reader.example"] }),
  nobody: authority.issue({ dnsNames: ["node-9.example"] }),
};
const tokens = {
  good: "lagg_good",
  reader: "lagg_reader",
  backlog: "lagg_backlog",
  operator: "lagg_operator",
  old: "lagg_old",
};
const bearer = (token: string) => `Bearer ${token}`;
const socketPath = freshPath("node.sock");
const narrowPath = freshPath("narrow.sock");
const otherPath = freshPath("other.sock");

const callers: Record<string, Caller> = {
  "certificate, by its alternative name": { door: "mtls", identity: "node1" },
  "certificate, by its common name": { door: "mtls", identity: "node2" },
  "certificate with the other's name as common": { door: "mtls", identity: "disguised" },
  "certificate of nobody": { door: "mtls", identity: "nobody" },
  "certificate of nobody, with a good token": {
    door: "mtls",
    identity: "nobody",
    authorization: bearer(tokens.good),
  },
  "certificate, for another node": { door: "mtls", identity: "node1", nodeId: "node-2" },
  "certificate for two calls": { door: "mtls", identity: "reader" },
  token: { door: "plain", authorization: bearer(tokens.good) },
  "token over TLS": { door: "tls", authorization: bearer(tokens.good) },
  "token for two calls": { door: "plain", authorization: bearer(tokens.reader) },
  "token for backlog, at the default priority": {
    door: "plain",
    authorization: bearer(tokens.backlog),
  },
  "token, for another node": {
    door: "plain",
    authorization: bearer(tokens.good),
    nodeId: "node-2",
  },
  "token that has expired": { door: "plain", authorization: bearer(tokens.old) },
  "token that is unknown": { door: "plain", authorization: bearer("lagg_bad") },
  "password instead of a token": { door: "plain", authorization: "Basic bm9kZS0xOnNlY3JldA==" },
  "Unix socket": { door: "socket" },
  "token of an operator": { door: "plain", authorization: bearer(tokens.operator) },
  "Unix socket, for another node": { door: "socket", nodeId: "node-2" },
  "Unix socket for two calls": { door: "narrowSocket" },
  "Unix socket of nobody": { door: "otherSocket" },
  "Unix socket of nobody, with a token": {
    door: "otherSocket",
    authorization: bearer(tokens.good),
  },
  loopback: { door: "plain" },
  "loopback over TLS": { door: "tls" },
  "loopback, the policy has nobody anonymous": { door: "strict" },
  "loopback, no policy file": { door: "open" },
  "unknown token, no policy file": { door: "open", authorization: bearer("lagg_bad") },
};

const all = { nodes: ["node-1"], calls: ["*"], priorities: ["aggregation"] };
const principals = [
  {
    ...all,
    name: "node-1",
    certificates: ["DNS:node-1.example"],
    tokens: [tokenOf(tokens.good), tokenOf(tokens.old, "2020-01-01T00:00:00Z")],
    sockets: [socketPath],
  },
  { ...all, name: "node-2", certificates: ["CN:node-2"] },
  {
    ...all,
    name: "reader",
    certificates: ["DNS:reader.example"],
    tokens: [tokenOf(tokens.reader)],
    sockets: [narrowPath],
    calls: ["StreamResults", "GetSession"],
  },
  { name: "operator", tokens: [tokenOf(tokens.operator)], operatorCalls: ["*"] },
  {
    ...all,
    name: "backlog",
    tokens: [tokenOf(tokens.backlog)],
    calls: ["SubmitSnapshot"],
    priorities: ["backlog"],
  },
];
const anonymous = { name: "anonymous", anonymous: true, calls: ["GetServerInfo", "Metrics"] };

const services = new Map<Door, Service>();
beforeAll(async () => {
  const server = authority.issue();
  const files = filesOf({ ...server, ca: authority.certificate });
  const tls = { tlsCertificate: files.certificate, tlsKey: files.key };
  const policy = policyFile(...principals, anonymous);
  const at = (path: string) => ({ listen: [`unix:${path}`] });
  const settings: Record<Door, Record<string, unknown>> = {
    plain: { policy },
    tls: { policy, ...tls },
    mtls: { policy, ...tls, tlsClientCa: files.ca },
    socket: { policy, ...at(socketPath) },
    narrowSocket: { policy, ...at(narrowPath) },
    otherSocket: { policy, ...at(otherPath) },
    strict: { policy: policyFile(...principals) },
    open: {},
  };
  const prover = () => startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() });
  for (const [door, its] of Object.entries(settings)) {
    services.set(door as Door, await startTestService(prover, its));
  }
});
afterAll(() => Promise.all([...services.values()].map((service) => service.close())));

const protocols = ["gRPC", "Connect"] as const;

function serviceAt(door: Door): Service {
  const service = services.get(door);
  if (service === undefined) throw new Error(`no service ${door}`);
  return service;
}

function clientOf({ door, identity, authorization }: Caller, protocol: string): AggregatorClient {
  const [bound = ""] = serviceAt(door).addresses;
  const isTls = door === "tls" || door === "mtls";
  const address = isTls ? bound.replace("127.0.0.1", "localhost") : bound;
  const path = address.startsWith("unix:") ? address.slice("unix:".length) : undefined;
  const baseUrl = path === undefined ? `http${isTls ? "s" : ""}://${address}` : "http://localhost";
  const { certificate: cert, key } = identity === undefined ? {} : identities[identity];
  const tls = { ca: authority.certificate, ...(cert && { cert, key }) };
  const show: Interceptor = (next) => (request) => {
    if (authorization !== undefined) request.header.set("authorization", authorization);
    return next(request);
  };
  const overHttp2 = path === undefined ? tls : { createConnection: () => connect(path) };
  const overHttp1 = path === undefined ? tls : { socketPath: path };
  const more = { baseUrl, interceptors: [show] };
  const transport =
    protocol === "Connect"
      ? createConnectTransport({ ...more, httpVersion: "1.1", nodeOptions: overHttp1 })
      : createGrpcTransport({ ...more, nodeOptions: overHttp2 });
  return createClient(AggregatorService, transport);
}

test("the table names every caller and every call", () => {
  expect(everyCall.map(({ who }) => who)).toEqual(Object.keys(callers));
  for (const { cells } of everyCall) expect(Object.keys(cells)).toEqual(Object.keys(attempts));
  const called = Object.values(attempts).map(({ method }) => method);
  expect(called.sort()).toEqual(Object.keys(AggregatorService.method).sort());
});

describe.each(protocols)("%s", (protocol) => {
  test.each(everyCall)("$who", async ({ who, cells }) => {
    const caller = callers[who];
    if (caller === undefined) throw new Error(`no caller ${who}`);
    const { nodeId = "node-1" } = caller;
    const client = clientOf(caller, protocol);
    const verdicts: Record<string, string> = {};
    for (const name of Object.keys(cells)) {
      const { verdict, message } = await attempt(client, name, nodeId);
      verdicts[name] = verdict;
      // An unknown caller learns of no principal or node; a denied one learns what it may not do.
      if (verdict === "no") expect(message).toMatch(/^principal \S+ may not /);
      if (verdict === "who?") expect(message).not.toMatch(/node-1/);
    }
    expect(verdicts).toEqual(cells);
  });
});

test.each([
  ["token", 200],
  ["token for two calls", 403],
  ["token that is unknown", 401],
  ["loopback", 200],
  ["loopback, the policy has nobody anonymous", 401],
  ["loopback, no policy file", 200],
])(
  "/metrics for %s answers %i; /livez and /readyz are for whom the policy knows",
  async (who, status) => {
    const { door = "plain", authorization } = callers[who] ?? {};
    const page = async (name: string) => {
      const headers = authorization === undefined ? {} : { authorization };
      return (await fetch(`http://${serviceAt(door).addresses[0]}/${name}`, { headers })).status;
    };
    expect(await page("metrics")).toBe(status);
    const known = status === 401 ? 401 : 200;
    expect([await page("livez"), await page("readyz")]).toEqual([known, known]);
  },
);
