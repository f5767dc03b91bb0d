/** Which principal a caller is, and what it may do: the policy as a pure function. */
import { expect, test } from "vitest";
import type { Ask, Credential, Policy } from "../../../server/access/policy.js";
import { decide } from "../../../server/access/policy.js";
import { parsePolicy } from "../../../server/access/policy-file.js";
import { tokenHash, tokenOf } from "../../../server/access/token.js";

const NOW = Date.parse("2026-06-01T00:00:00Z");
const token = (byte: number) => tokenOf(Buffer.alloc(32, byte));
const node = (name: string, more: object) => ({
  name,
  nodes: [name, `${name}-*`],
  calls: ["SubmitSnapshot", "StreamResults"],
  priorities: ["aggregation"],
  ...more,
});
const policy = parsePolicy(
  JSON.stringify({
    principals: [
      node("node-1", { certificates: ["DNS:node-1.example"] }),
      node("node-2", { certificates: ["CN:node-2"], sockets: ["/run/node-2.sock"] }),
      node("node-3", {
        tokens: [
          { sha256: tokenHash(token(3)).toString("hex") },
          { sha256: tokenHash(token(4)).toString("hex"), expires: "2026-05-31T23:59:59+00:00" },
          { sha256: tokenHash(token(5)).toString("hex"), expires: "2026-06-01T00:00:01Z" },
        ],
      }),
      { name: "scraper", anonymous: true, calls: ["Metrics"] },
      { name: "operator", sockets: ["/run/admin.sock"], operatorCalls: ["*"] },
    ],
  }),
);

const certificate = (name: string): Credential => ({ kind: "certificate", name });
const withToken = (byte: number): Credential => ({ kind: "token", sha256: tokenHash(token(byte)) });
const socket = (path: string): Credential => ({ kind: "socket", path });

test.each<[string, Credential, string]>([
  ["a certificate by its alternative name", certificate("DNS:node-1.example"), "node-1"],
  ["a certificate by its common name", certificate("CN:node-2"), "node-2"],
  [
    "a common name that says what an alternative name says",
    certificate("CN:node-1.example"),
    "unknown_certificate",
  ],
  ["a certificate of nobody", certificate("DNS:node-9.example"), "unknown_certificate"],
  ["a token", withToken(3), "node-3"],
  ["a token of nobody", withToken(9), "unknown_token"],
  ["a token that has expired", withToken(4), "expired_token"],
  ["a token that has not expired yet", withToken(5), "node-3"],
  ["a token that everybody could read", { kind: "token_in_clear" }, "token_in_clear"],
  ["a socket", socket("/run/node-2.sock"), "node-2"],
  ["a socket of nobody", socket("/run/node-9.sock"), "unknown_socket"],
  ["loopback", { kind: "loopback" }, "scraper"],
  ["nothing, over the network", { kind: "nothing" }, "no_credentials"],
])("%s: the principal, or the reason of the denial", (_, credential, expected) => {
  const decision = decide(policy, credential, {}, NOW);
  expect(decision.kind === "allowed" ? decision.principal.name : decision).toEqual(
    decision.kind === "allowed" ? expected : expect.objectContaining({ reason: expected }),
  );
});

const node1 = certificate("DNS:node-1.example");
test.each<[string, Credential, Ask, string | undefined]>([
  ["a call of its own", node1, { call: "SubmitSnapshot" }, undefined],
  ["a call that is not named", node1, { call: "CancelSession" }, "call"],
  ["its node", node1, { call: "StreamResults", nodeId: "node-1" }, undefined],
  ["a node of its prefix", node1, { call: "StreamResults", nodeId: "node-1-b" }, undefined],
  ["a node that begins like its name", node1, { call: "StreamResults", nodeId: "node-10" }, "node"],
  ["its priority", node1, { call: "SubmitSnapshot", priority: "aggregation" }, undefined],
  ["another priority", node1, { call: "SubmitSnapshot", priority: "proposal" }, "priority"],
  ["an operator's call", node1, { call: "DrainDevice", isOperators: true }, "call"],
  [
    "an operator, an operator's",
    socket("/run/admin.sock"),
    { call: "DrainDevice", isOperators: true },
    undefined,
  ],
  ["an operator, a node's", socket("/run/admin.sock"), { call: "SubmitSnapshot" }, "call"],
])("%s: allowed, or why not", (_, credential, ask, reason) => {
  const decision = decide(policy, credential, ask, NOW);
  expect(decision).toMatchObject(
    reason === undefined ? { kind: "allowed" } : { kind: "forbidden", reason },
  );
});

test("a denial names the principal, and what it may not do", () => {
  const detailOf = (ask: Ask) => {
    const decision = decide(policy, node1, ask, NOW);
    return decision.kind === "allowed" ? "" : decision.detail;
  };
  expect(detailOf({ call: "GetSession" })).toBe("principal node-1 may not call GetSession");
  expect(detailOf({ nodeId: "node-2" })).toBe("principal node-1 may not speak for node node-2");
  expect(detailOf({ priority: "backlog" })).toBe(
    "principal node-1 may not submit at priority backlog",
  );
});

test("without a policy file every caller is allowed everything", () => {
  const all: Ask = { call: "SubmitSnapshot", nodeId: "any", priority: "proposal" };
  for (const credential of [{ kind: "loopback" }, withToken(9), socket("/x")] as Credential[]) {
    expect(decide(undefined, credential, all, NOW)).toMatchObject({
      kind: "allowed",
      principal: { name: "anonymous", quota: {} },
    });
  }
});

test("of two principals that match a caller, the first in the file counts", () => {
  const two: Policy = parsePolicy(
    JSON.stringify({
      principals: [
        { name: "one", certificates: ["DNS:a"] },
        { name: "all", certificates: ["*"] },
      ],
    }),
  );
  const nameOf = (name: string) => {
    const decision = decide(two, certificate(name), {}, NOW);
    return decision.kind === "allowed" && decision.principal.name;
  };
  expect([nameOf("DNS:a"), nameOf("DNS:b")]).toEqual(["one", "all"]);
});

test("a token is 256 bits with a prefix that identifies it as a token", () => {
  expect(token(1)).toMatch(/^lagg_[A-Za-z0-9_-]{43}$/);
  expect(token(1)).not.toBe(token(2));
  expect(() => tokenOf(Buffer.alloc(16))).toThrow("32 random bytes");
});
