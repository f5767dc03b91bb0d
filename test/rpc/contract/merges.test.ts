/** Merges over the contract: one proof of several messages, all or nothing, in the order asked for. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Outcome } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  BusyPolicy,
  KeyRole,
  LeftOutReason,
  OutcomeReason,
  OutcomeStatus,
  Priority,
  ProofKind,
  SkipReason,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { bitsToIndices } from "../../../proto/bitlist.js";
import { sha256 } from "../../../server/bytes.js";
import { limits } from "../../../server/limits.js";
import { totalOf } from "../../../server/metrics/metric-table.js";
import type { Service } from "../../../server/service.js";
import {
  clientOver,
  Gate,
  inventedData,
  inventedGroup,
  inventedRaw,
  requestIdOf,
} from "../../../tools/harness/wire/contract.js";
import type { AggregatorClient } from "../../../tools/harness/wire/contract.js";
import {
  blockRoot,
  keysOfBothRoles,
  mergeOf,
  proofComponent,
  rawsComponent,
  rootComponent,
} from "../../../tools/harness/merges.js";
import { bits, keyTable, publicKey, snapshot } from "../../../tools/harness/vectors.js";
import type { GroupInit } from "../../../tools/harness/vectors.js";
import { startTestService } from "../../helpers/start-service.js";

const gate = new Gate();
let service: Service;
let client: AggregatorClient;
beforeAll(async () => {
  service = await startTestService(gate.startProver);
  client = clientOver(service, "gRPC");
});
afterAll(() => service.close());

const budgets = { deadlineMs: 5000, fenceMs: 6000 };
/** Merges are for this slot's block: made ahead, they would give way to expected votes. */
const submission = (nodeId: string, groups: GroupInit[]) => {
  const isMerge = groups[0]?.kind === ProofKind.MERGE;
  const sent = snapshot(100, groups, isMerge ? keysOfBothRoles() : keyTable());
  const priority = isMerge ? Priority.PROPOSAL : Priority.AGGREGATION;
  return { node: { nodeId }, snapshot: sent, priority, ...budgets };
};

async function outcomesOf(nodeId: string, groups: GroupInit[]): Promise<Outcome[]> {
  const requestId = requestIdOf(await client.submitSnapshot(submission(nodeId, groups)));
  return ended(nodeId, requestId);
}

async function ended(nodeId: string, requestId: string): Promise<Outcome[]> {
  const { session } = await client.getSession({ node: { nodeId }, requestId, waitMs: 5000 });
  expect(session?.summary).toBeDefined();
  return session?.outcomes ?? [];
}

/** The only outcome of a merge of these components. */
async function outcomeOf(nodeId: string, ...components: Parameters<typeof mergeOf>) {
  const [outcome] = await outcomesOf(nodeId, [mergeOf(...components)]);
  if (outcome === undefined) throw new Error("no outcome");
  return outcome;
}

const { PROVED, REJECTED, NOT_STARTED, STOPPED } = OutcomeStatus;
const keysOf = (...validators: number[]) => validators.map(publicKey);

test("proofs, raw signatures and a block's root become one proof, which verifies in their order", async () => {
  const [fold] = await outcomesOf("body", [inventedGroup(0, [1, 4])]);
  const body = proofComponent(0, fold?.proof ?? new Uint8Array(), [1, 4]);
  const outcome = await outcomeOf("body", body, rawsComponent(1, [2]), rootComponent(100, 3));
  expect(outcome).toMatchObject({ status: PROVED, leftOut: [], attempt: 1, fake: true });
  expect([outcome.data, outcome.message.length, outcome.participants.length]).toEqual([
    undefined,
    0,
    0,
  ]);
  expect(outcome.votes?.proved).toEqual([4, 0]);
  const claimed = outcome.claims.map(({ signed, role, participants }) => {
    return [signed.case, role, bitsToIndices(participants)];
  });
  expect(claimed).toEqual([
    ["data", KeyRole.ATTESTATION, [1, 4]],
    ["data", KeyRole.ATTESTATION, [2]],
    ["root", KeyRole.PROPOSAL, [3]],
  ]);
  const claims = [
    { signed: { case: "data" as const, value: inventedData(0) }, publicKeys: keysOf(1, 4) },
    { signed: { case: "data" as const, value: inventedData(1) }, publicKeys: keysOf(2) },
    {
      signed: { case: "root" as const, value: { root: blockRoot(100), slot: 100n } },
      publicKeys: keysOf(32 + 3),
    },
  ];
  const verify = async (of: typeof claims) => {
    const request = { node: { nodeId: "body" }, kind: ProofKind.MERGE, proof: outcome.proof };
    return (await client.verifyAggregate({ ...request, claims: of })).valid;
  };
  expect(await verify(claims)).toBe(true);
  expect(await verify(claims.toReversed())).toBe(false);
  expect(await verify(claims.slice(1))).toBe(false);
  const stranger = claims.map((each, at) => (at === 1 ? { ...each, publicKeys: keysOf(7) } : each));
  expect(await verify(stranger)).toBe(false);
  const asFold = { data: inventedData(1), publicKeys: keysOf(2), proof: outcome.proof };
  expect((await client.verifyAggregate({ node: { nodeId: "body" }, ...asFold })).valid).toBe(false);
});

const bad = flipped(inventedRaw(2, 1).signature);
const wrongLeaf = inventedRaw(2, 1, 99).signature;
const ofSignature = (signature: Uint8Array, validatorIndex = 1) => ({
  claim: rawsComponent(2).claim,
  from: { case: "raws" as const, value: { signatures: [{ validatorIndex, signature }] } },
});
const noProof = Uint8Array.of(1, 2, 3);
test.each([
  ["a bad signature", ofSignature(bad), LeftOutReason.BAD_SIGNATURE, "badSignature"],
  ["a signature of another slot", ofSignature(wrongLeaf), LeftOutReason.WRONG_LEAF, "wrongLeaf"],
  ["a bad proof", proofComponent(2, noProof, [1]), LeftOutReason.BAD_CHILD, "badChild"],
  ["an unknown signer", ofSignature(bad, 40), LeftOutReason.UNKNOWN_KEY, "unknownKey"],
  ["a short signature", ofSignature(noProof), LeftOutReason.BAD_SIGNATURE, "badSignature"],
] as const)(
  "%s ends the merge rejected and names the component",
  async (what, part, reason, fate) => {
    const nodeId = `rejected-${what.replaceAll(" ", "-")}`;
    const outcome = await outcomeOf(nodeId, rawsComponent(0), part, rawsComponent(1, [5]));
    const { from } = part;
    const bytes = from.case === "proof" ? from.value : from.value.signatures[0]?.signature;
    expect(outcome).toMatchObject({
      status: REJECTED,
      leftOut: [
        {
          reason,
          input: { case: "componentIndex", value: 1 },
          digest: sha256(bytes ?? new Uint8Array()),
        },
      ],
    });
    expect(outcome.proof).toHaveLength(0);
    expect(outcome.claims).toHaveLength(3);
    expect(outcome.votes).toMatchObject({ proved: [0, 0], notStarted: 3, [fate]: 1 });
  },
);

/** The fake prover's signatures start with the slot: flips a bit behind it. */
function flipped(signature: Uint8Array): Uint8Array {
  const copy = new Uint8Array(signature);
  copy[10] = (copy[10] ?? 0) ^ 1;
  return copy;
}

test("the same request id is answered as before, and with other components refused", async () => {
  const first = submission("retry", [mergeOf(rawsComponent(3), rootComponent(100))]);
  const request = { ...first, requestId: "body-100" };
  const { result } = await client.submitSnapshot(request);
  expect(result.case).toBe("accepted");
  const again = await client.submitSnapshot(request);
  expect(again.result).toMatchObject({ case: "accepted", value: { requestId: "body-100" } });
  const other = submission("retry", [mergeOf(rawsComponent(3), rawsComponent(4))]);
  const refused = client.submitSnapshot({ ...other, requestId: "body-100" });
  await expect(refused).rejects.toThrow(/used for a request with other content/);
  expect((await ended("retry", "body-100")).map(({ status }) => status)).toEqual([PROVED]);
});

test("equal merges of two nodes are one proof, each with the claims of its own snapshot", async () => {
  gate.shut();
  const groups = [mergeOf(rawsComponent(5, [1, 2]), rawsComponent(6, [3]))];
  const a = requestIdOf(await client.submitSnapshot(submission("equal-a", groups)));
  const ssz = submission("equal-b", groups);
  Object.assign(ssz.snapshot, { sszBitlists: true });
  const b = requestIdOf(await client.submitSnapshot(ssz));
  const before = await totalOf(service.metrics.sharedGroups);
  gate.open();
  const [[ofA], [ofB]] = [await ended("equal-a", a), await ended("equal-b", b)];
  expect(before).toBeGreaterThan(0);
  expect([ofA?.status, ofB?.status]).toEqual([PROVED, PROVED]);
  expect(ofB?.proof).toEqual(ofA?.proof);
  expect(ofA?.claims[0]?.participants).toEqual(bits([1, 2]));
  expect(ofB?.claims[0]?.participants).toEqual(Uint8Array.of(0b1110));
});

test("a merge is late for the node whose deadline has passed, with its claims and its proof", async () => {
  gate.shut();
  const groups = [mergeOf(rawsComponent(12, [1, 2]), rawsComponent(13, [3]))];
  const inTime = requestIdOf(await client.submitSnapshot(submission("in-time", groups)));
  const request = { ...submission("late", groups), deadlineMs: 1 };
  const late = requestIdOf(await client.submitSnapshot(request));
  const before = await totalOf(service.metrics.merges, { form: "body", status: "proved_late" });
  gate.open();
  const [[ofOne], [ofLate]] = [await ended("in-time", inTime), await ended("late", late)];
  expect([ofOne?.status, ofLate?.status]).toEqual([PROVED, OutcomeStatus.PROVED_LATE]);
  expect(ofLate?.proof).toEqual(ofOne?.proof);
  expect(ofLate?.claims.map(({ participants }) => bitsToIndices(participants))).toEqual([
    [1, 2],
    [3],
  ]);
  const after = await totalOf(service.metrics.merges, { form: "body", status: "proved_late" });
  expect(after).toBe(before + 1);
});

test("a proof of the most messages, each of all validators, can be verified", async () => {
  const publicKeys = Array.from({ length: limits.validatorsMax }, () => new Uint8Array(32).fill(1));
  const claims = Array.from({ length: limits.mergeMessagesMax }, (_, n) => ({
    signed: { case: "data" as const, value: inventedData(n) },
    publicKeys,
  }));
  const proof = new Uint8Array(limits.proofBytesMax);
  const node = { nodeId: "largest" };
  const { valid } = await client.verifyAggregate({ node, kind: ProofKind.MERGE, proof, claims });
  expect(valid).toBe(false);
});

test("a merge is not in the way of a fold at its priority, only of another merge", async () => {
  gate.shut();
  const sent = (groups: GroupInit[]) => ({
    ...submission("two-kinds", groups),
    priority: Priority.AGGREGATION,
  });
  const merge = sent([mergeOf(rawsComponent(7), rawsComponent(8))]);
  const requestId = requestIdOf(await client.submitSnapshot(merge));
  const folds = sent([inventedGroup(9)]);
  expect((await client.submitSnapshot(folds)).result.case).toBe("accepted");
  const larger = sent([mergeOf(rawsComponent(7), rawsComponent(8), rawsComponent(9))]);
  const { result } = await client.submitSnapshot(larger);
  const inTheWay = { reason: SkipReason.IN_FLIGHT, inFlightRequestId: requestId };
  expect(result).toMatchObject({ case: "skipped", value: inTheWay });
  const replaced = await client.submitSnapshot({ ...larger, busyPolicy: BusyPolicy.REPLACE });
  expect(replaced.result.case).toBe("accepted");
  gate.open();
  await ended("two-kinds", requestIdOf(replaced));
});

test("merges are counted by form and status, and their votes not among those of aggregates", async () => {
  const { merges, registry, votes } = service.metrics;
  const before = {
    body: await totalOf(merges, { form: "body", status: "proved" }),
    block: await totalOf(merges, { form: "block", status: "proved" }),
    votes: await totalOf(votes),
  };
  await outcomeOf("counted", rawsComponent(10), rawsComponent(11));
  await outcomeOf("counted", rawsComponent(10), rootComponent(100));
  expect(await totalOf(merges, { form: "body", status: "proved" })).toBe(before.body + 1);
  expect(await totalOf(merges, { form: "block", status: "proved" })).toBe(before.block + 1);
  expect(await totalOf(votes)).toBe(before.votes);
  const page = await registry.metrics();
  expect(page).toMatch(/merge_seconds_count\{form="body"\} [1-9]/);
  expect(page).toMatch(/merge_seconds_count\{form="block"\} [1-9]/);
});

test("a merge that is cancelled or over the limit ends so, with its claims", async () => {
  gate.shut();
  const groups = Array.from({ length: 17 }, (_, n) => mergeOf(rawsComponent(20 + n, [n, n + 1])));
  const nodeId = "cancelled";
  const requestId = requestIdOf(await client.submitSnapshot(submission(nodeId, groups)));
  const running = async () => {
    const { session } = await client.getSession({ node: { nodeId }, requestId });
    return session?.outcomes.length;
  };
  expect(await running()).toBe(1);
  await client.cancelSession({ node: { nodeId }, requestId });
  gate.open();
  const outcomes = await ended(nodeId, requestId);
  const claimed = outcomes.map(({ claims }) =>
    claims.map((each) => bitsToIndices(each.participants)),
  );
  expect(claimed).toEqual(groups.map((_, n) => [[n, n + 1]]));
  const { CANCELLED, LIMIT } = OutcomeReason;
  const [first] = outcomes;
  expect([first?.status, first?.reason]).toEqual([STOPPED, CANCELLED]);
  expect(first?.votes).toMatchObject({ stopped: 2 });
  const others = outcomes.slice(1).map(({ status, reason, votes }) => {
    return [status, reason, votes?.notStarted];
  });
  expect(others).toEqual([
    ...Array<unknown>(15).fill([NOT_STARTED, CANCELLED, 2]),
    [NOT_STARTED, LIMIT, 2],
  ]);
});
