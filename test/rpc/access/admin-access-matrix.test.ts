/**
 * Which operator may do what: every kind of caller with every call of the operator's service, as in
 * `access-matrix.test.ts`. Its listener is on loopback or a Unix socket only, so nobody shows a
 * certificate.
 */
import type { ServiceError } from "@grpc/grpc-js";
import { status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { callAdmin, streamActivity } from "../../../client/rpc/operator-client.js";
import { AggregatorError } from "../../../client/errors.js";
import { AdminService, LogLevel } from "../../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import type { Service } from "../../../server/service.js";
import type { Verdict } from "./access-matrix.js";
import { parseMatrix, policyFile, tokenOf } from "./access-matrix.js";
import { freshPath } from "../../helpers/command-line.js";
import { startTestService } from "../../helpers/start-service.js";

const everyCall = parseMatrix(`
who                                       | listSessions | listProvers | listHosts | drainDevice | restartProver | endSession | getLogLevel | setLogLevel | streamActivity
token of an operator                      | yes          | yes         | yes       | yes         | yes           | yes        | yes         | yes         | yes
token for lists                           | yes          | yes         | yes       | no          | no            | no         | no          | no          | no
token of a node, for all of a node's calls | no          | no          | no        | no          | no            | no         | no          | no          | no
token that has expired                    | who?         | who?        | who?      | who?        | who?          | who?       | who?        | who?        | who?
token that is unknown                     | who?         | who?        | who?      | who?        | who?          | who?       | who?        | who?        | who?
loopback                                  | no           | no          | no        | no          | no            | no         | no          | no          | no
loopback, the policy has nobody anonymous | who?         | who?        | who?      | who?        | who?          | who?       | who?        | who?        | who?
loopback, no policy file                  | yes          | yes         | yes       | yes         | yes           | yes        | yes         | yes         | yes
Unix socket                               | yes          | yes         | yes       | yes         | yes           | yes        | yes         | yes         | yes
Unix socket for lists                     | yes          | yes         | yes       | no          | no            | no         | no          | no          | no
Unix socket of nobody                     | who?         | who?        | who?      | who?        | who?          | who?       | who?        | who?        | who?
Unix socket of nobody, with a token       | yes          | yes         | yes       | yes         | yes           | yes        | yes         | yes         | yes
`);

const tokens = {
  operator: "lagg_operator",
  lists: "lagg_lists",
  node: "lagg_node",
  old: "lagg_old",
};
const sockets = {
  socket: freshPath("admin.sock"),
  narrowSocket: freshPath("lists.sock"),
  otherSocket: freshPath("other.sock"),
};
type Method = keyof typeof AdminService.method;
type Door = "plain" | "strict" | "open" | keyof typeof sockets;
const callers: Record<string, { door: Door; token?: string }> = {
  "token of an operator": { door: "plain", token: tokens.operator },
  "token for lists": { door: "plain", token: tokens.lists },
  "token of a node, for all of a node's calls": { door: "plain", token: tokens.node },
  "token that has expired": { door: "plain", token: tokens.old },
  "token that is unknown": { door: "plain", token: "lagg_bad" },
  loopback: { door: "plain" },
  "loopback, the policy has nobody anonymous": { door: "strict" },
  "loopback, no policy file": { door: "open" },
  "Unix socket": { door: "socket" },
  "Unix socket for lists": { door: "narrowSocket" },
  "Unix socket of nobody": { door: "otherSocket" },
  "Unix socket of nobody, with a token": { door: "otherSocket", token: tokens.operator },
};

const operator = { operatorCalls: ["*"] };
const lists = { operatorCalls: ["ListSessions", "ListProvers", "ListHosts"] };
const principals = [
  {
    ...operator,
    name: "operator",
    tokens: [tokenOf(tokens.operator), tokenOf(tokens.old, "2020-01-01T00:00:00Z")],
    sockets: [sockets.socket],
  },
  { ...lists, name: "lists", tokens: [tokenOf(tokens.lists)], sockets: [sockets.narrowSocket] },
  { name: "node-1", nodes: ["*"], calls: ["*"], priorities: ["*"], tokens: [tokenOf(tokens.node)] },
];

const services = new Map<Door, Service>();
beforeAll(async () => {
  const anonymous = { name: "anonymous", anonymous: true, calls: ["GetServerInfo"] };
  const policy = policyFile(...principals, anonymous);
  const settings: Record<Door, Record<string, unknown>> = {
    plain: { policy },
    strict: { policy: policyFile(...principals) },
    open: {},
    socket: { policy, admin: `unix:${sockets.socket}` },
    narrowSocket: { policy, admin: `unix:${sockets.narrowSocket}` },
    otherSocket: { policy, admin: `unix:${sockets.otherSocket}` },
  };
  const prover = () => startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() });
  for (const [door, its] of Object.entries(settings)) {
    services.set(door as Door, await startTestService(prover, its));
  }
});
afterAll(() => Promise.all([...services.values()].map((service) => service.close())));

const verdicts = new Map<status | undefined, Verdict>([
  [status.UNAUTHENTICATED, "who?"],
  [status.PERMISSION_DENIED, "no"],
]);

/** Asks for what is not there, where a call would change something. */
async function attempt(door: Door, method: Method, token?: string): Promise<Verdict> {
  const request = { deviceId: "none", sessionId: "none", level: LogLevel.SILENT };
  const address = services.get(door)?.operatorAddress ?? "";
  const options = token === undefined ? {} : { token };
  try {
    if (method !== "streamActivity") await callAdmin(address, method, request, options);
    else {
      const { signal } = new AbortController();
      const stream = streamActivity(address, { ...options, noFollow: true, signal });
      for await (const answer of stream) expect(answer.run).not.toBe("");
    }
    return "yes";
  } catch (error) {
    if (!(error instanceof AggregatorError)) throw error;
    if (error.kind === "not_found") return "yes";
    const verdict = verdicts.get((error.cause as Partial<ServiceError>).code);
    if (verdict === undefined) throw error;
    return verdict;
  }
}

test("the table names every caller and every call", () => {
  expect(everyCall.map(({ who }) => who)).toEqual(Object.keys(callers));
  for (const { cells } of everyCall) {
    expect(Object.keys(cells).sort()).toEqual(Object.keys(AdminService.method).sort());
  }
});

describe("the operator's listener", () => {
  test.each(everyCall)("$who", async ({ who, cells }) => {
    const caller = callers[who];
    if (caller === undefined) throw new Error(`no caller ${who}`);
    const found: Record<string, Verdict> = {};
    for (const method of Object.keys(cells) as Method[]) {
      found[method] = await attempt(caller.door, method, caller.token);
    }
    expect(found).toEqual(cells);
  });
});
