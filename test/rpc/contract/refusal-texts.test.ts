/** What each call says to an invalid request: request, code and exact text. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import type { Service } from "../../../server/service.js";
import { startTestService } from "../../helpers/start-service.js";

const startProver = () => startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() });
let service: Service;
beforeAll(async () => {
  service = await startTestService(startProver);
});
afterAll(() => service.close());

const root = Buffer.alloc(32).toString("base64");
const point = { root, slot: "0" };
const data = { slot: "1", head: point, target: point, source: point };
const node = { nodeId: "n" };
const snapshot = { slot: "1", head: point, justified: point, groups: [{ data }] };
const child = (participants: string) => ({ data, children: [{ participants, proof: "AA==" }] });
const key = (validatorIndex: number, publicKey = root) => ({ validatorIndex, publicKey });
const submit = (fields: object) => ({ node, snapshot, ...fields });
const groups = (...some: object[]) => submit({ snapshot: { ...snapshot, groups: some } });
const ID = "expected 1 to 64 characters of A-Z a-z 0-9 . _ -";

test.each<[call: string, request: object, text: string]>([
  ["SubmitSnapshot", {}, "node: is missing"],
  ["SubmitSnapshot", { node: {} }, `node.node_id: is "", ${ID}`],
  ["SubmitSnapshot", { node: { nodeId: "a b" } }, `node.node_id: is "a b", ${ID}`],
  ["SubmitSnapshot", { node }, "snapshot: is missing"],
  [
    "SubmitSnapshot",
    submit({ requestId: "x".repeat(65) }),
    `request_id: is "${"x".repeat(65)}", expected no id or 1 to 64 characters of A-Z a-z 0-9 . _ -`,
  ],
  [
    "SubmitSnapshot",
    submit({ deadlineMs: 120_001 }),
    "deadline_ms: is 120001, expected 0 to 120000",
  ],
  ["SubmitSnapshot", submit({ fenceMs: 120_001 }), "fence_ms: is 120001, expected 0 to 120000"],
  [
    "SubmitSnapshot",
    submit({ proofSystem: { scheme: "other" } }),
    'proof_system.scheme: is "other", this server proves "fake fake-1"',
  ],
  [
    "SubmitSnapshot",
    submit({ proofSystem: { logInvRate: 9 } }),
    "proof_system.log_inv_rate: is 9, this server offers 0, 1, 2, 3, 4, 5, 6, 7, 8",
  ],
  ["SubmitSnapshot", submit({ snapshot: {} }), "snapshot.head: is missing"],
  [
    "SubmitSnapshot",
    submit({ snapshot: { ...snapshot, head: { root: "AA==" } } }),
    "snapshot.head.root: has 1 bytes, expected 32",
  ],
  ["SubmitSnapshot", groups(), "snapshot.groups: is empty: nothing to prove"],
  ["SubmitSnapshot", groups({}), "snapshot.groups[0].data: is missing"],
  ["SubmitSnapshot", groups({ data: {} }), "snapshot.groups[0].data.head: is missing"],
  [
    "SubmitSnapshot",
    groups({ data, message: "AA==" }),
    "snapshot.groups[0].message: has 1 bytes, expected 32",
  ],
  [
    "SubmitSnapshot",
    groups({ data }, { data }),
    "snapshot.groups[1].data: is the same attestation data as snapshot.groups[0]",
  ],
  [
    "SubmitSnapshot",
    groups(child(Buffer.alloc(513).toString("base64"))),
    "snapshot.groups[0].children[0].participants: has 513 bytes, at most 512",
  ],
  [
    "SubmitSnapshot",
    submit({
      snapshot: { ...snapshot, keys: [key(1), key(1, Buffer.alloc(32, 1).toString("base64"))] },
    }),
    "snapshot.keys[1].validator_index: 1 is there twice",
  ],
  [
    "SubmitSnapshot",
    submit({ snapshot: { ...snapshot, keys: [key(1), key(2)] } }),
    "snapshot.keys[1].public_key: is validator 1's key too",
  ],
  ["GetSession", { node }, `request_id: is "", ${ID}`],
  ["CancelSession", { node }, `request_id: is "", ${ID}`],
  [
    "GetSession",
    { node, requestId: `a${" ".repeat(60_000)}b` },
    `request_id: is "a${" ".repeat(99)}…", ${ID}`,
  ],
  ["GetSession", { node, requestId: "x", waitMs: 60_001 }, "wait_ms: is 60001, at most 60000"],
  ["CancelSession", { node, requestId: "x" }, 'request_id: no request "x" of this node'],
  ["VerifyAggregate", { node }, "data: is missing"],
  ["VerifyAggregate", { node, data }, "public_keys: is empty"],
  [
    "VerifyAggregate",
    { node, data, publicKeys: ["AA=="] },
    "public_keys[0]: has 1 bytes, expected 32",
  ],
])("%s %j", async (call, request, text) => {
  const [address = ""] = service.addresses;
  expect(await said(`${address}/lean.aggregator.v1.AggregatorService/${call}`, request)).toBe(text);
});

test.each<[call: string, request: object, text: string]>([
  ["DrainDevice", {}, "device_id: is empty"],
  ["DrainDevice", { deviceId: "gpu" }, 'device_id: no device "gpu": this service has cpu'],
  [
    "DrainDevice",
    { deviceId: "cpu", drained: false, waitMs: 1 },
    "wait_ms: is only for a device that is drained",
  ],
  [
    "DrainDevice",
    { deviceId: "cpu", drained: true, waitMs: 60_001 },
    "wait_ms: is 60001, at most 60000",
  ],
  [
    "RestartProver",
    { deviceId: "cpu", role: "PROVER_ROLE_STANDBY" },
    "role: device cpu has no standby at the moment",
  ],
  ["EndSession", {}, "session_id: is empty"],
  ["EndSession", { sessionId: "x" }, 'session_id: no session "x"'],
])("operator: %s %j", async (call, request, text) => {
  const address = service.operatorAddress ?? "";
  expect(await said(`${address}/lean.aggregator.admin.v1.AdminService/${call}`, request)).toBe(
    text,
  );
});

/** The message of the refusal of a request in JSON. */
async function said(at: string, request: object): Promise<string> {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify(request);
  const answer = await fetch(`http://${at}`, { method: "POST", headers, body });
  return z.object({ message: z.string() }).parse(await answer.json()).message;
}
