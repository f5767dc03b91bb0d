/** What a request asks of its groups beyond a proof, and how the outcomes answer it. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  AggregatorClient,
  bitsToIndices,
  decodeSszBitlist,
  encodeSszBitlist,
  indicesToBits,
} from "../../client/index.js";
import {
  LeftOutReason,
  OutcomeReason,
  OutcomeStatus,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../server/limits.js";
import type { Service } from "../../server/service.js";
import {
  Gate,
  inventedData,
  inventedGroup,
  inventedRaw,
} from "../../tools/harness/wire/contract.js";
import { keyTable, snapshot } from "../../tools/harness/vectors.js";
import type { GroupInit } from "../../tools/harness/vectors.js";
import { startTestService } from "../helpers/start-service.js";

const KEYS = 16;
const gate = new Gate();
let service: Service;
let client: AggregatorClient;
beforeAll(async () => {
  service = await startTestService(gate.startProver);
  client = new AggregatorClient({ address: service.addresses[0] ?? "" });
});
afterAll(async () => {
  client.close();
  await service.close();
});

/** Proofs that a service has made, disturbed or not. */
async function proofsMade(): Promise<number> {
  const { values } = await service.metrics.proofs.get();
  return values.reduce((sum, { value }) => sum + value, 0);
}

/** Votes that were counted and are not in `before`, by their fate, with its reason or step. */
async function countedVotes(before: Record<string, number> = {}): Promise<Record<string, number>> {
  const { values } = await service.metrics.votes.get();
  const counts = values.map(({ labels, value }) => {
    const { fate, reason, step }: Record<string, string> = { ...labels };
    const name = [fate, reason, step && `step ${step}`].filter(Boolean).join(" ");
    return [name, value - (before[name] ?? 0)] as const;
  });
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

interface Asked {
  minInputs?: number;
  steps?: { untilMs: number; weight: number }[];
  sszBitlists?: boolean;
}

/** Submits the groups, and returns what identifies the session to its node. */
async function submit(nodeId: string, groups: GroupInit[], asked: Asked = {}) {
  const node = { nodeId, nodeEpoch: 1n };
  const { sszBitlists = false, ...more } = asked;
  const sent = Object.assign(snapshot(100, groups, keyTable(KEYS)), { sszBitlists });
  const request = { node, snapshot: sent, deadlineMs: 30_000, fenceMs: 60_000, ...more };
  const { result } = await client.submitSnapshot(request);
  if (result.case !== "accepted") throw new Error(`skipped: ${JSON.stringify(result.value)}`);
  return { node, requestId: result.value.requestId };
}

async function ended(of: Awaited<ReturnType<typeof submit>>) {
  const { session } = await client.getSession({ ...of, waitMs: 10_000 });
  return session;
}

test("SSZ bitlists come in with their length bit, and go out with it", async () => {
  const proofOf = async (nodeId: string, validators: number[]) => {
    const session = await ended(await submit(nodeId, [inventedGroup(0, validators)]));
    return session?.outcomes[0]?.proof ?? new Uint8Array();
  };
  const child = async (nodeId: string, validators: number[], length: number) => ({
    participants: encodeSszBitlist(validators, length),
    proof: await proofOf(nodeId, validators),
  });
  const outcomeOf = async (nodeId: string, groups: GroupInit[]) => {
    const session = await ended(await submit(nodeId, groups, { sszBitlists: true }));
    return session?.outcomes.map((each) => {
      const { bits, length } = decodeSszBitlist(each.participants) ?? {};
      return [bits && bitsToIndices(bits), length];
    });
  };
  const children = [await child("ssz-1", [0, 1], 2), await child("ssz-2", [2, 7], 12)];
  const group = { data: inventedData(0), rawSignatures: [inventedRaw(0, 3)], children };
  expect(await outcomeOf("ssz-3", [group, inventedGroup(1, [1, 9])])).toEqual([
    ...[[[0, 1, 2, 3, 7], 12]],
    ...[[[1, 9], 12]],
  ]);
  expect(await outcomeOf("ssz-4", [inventedGroup(2, [1, 14])]), "no list was given").toEqual([
    [[1, 14], 15],
  ]);
  const short = { data: inventedData(3), rawSignatures: [inventedRaw(3, 9)], children: [] };
  const low = { ...group, children: children.slice(0, 1) };
  expect(await outcomeOf("ssz-5", [low, short]), "the list was too short").toEqual([
    ...[[[0, 1, 3], 4]],
    ...[[[9], 10]],
  ]);
});

test("outcomes and summary count each vote once, and the metric too", async () => {
  const bad = { ...inventedRaw(4, 2), signature: inventedRaw(4, 3).signature };
  const unknown = { ...inventedRaw(4, 3), validatorIndex: 90 };
  const mixed = { data: inventedData(4), rawSignatures: [inventedRaw(4, 1), bad, unknown] };
  const steps = [
    { untilMs: 0, weight: 3 },
    { untilMs: 60_000, weight: 1 },
  ];
  const before = await countedVotes();
  const session = await ended(await submit("votes", [mixed, inventedGroup(5)], { steps }));
  const votes = { proved: [0, 1, 0], badSignature: 1, unknownKey: 1, notStarted: 0 };
  expect(session?.outcomes.map((outcome) => outcome.votes)).toMatchObject([
    votes,
    { proved: [0, 2, 0], badSignature: 0 },
  ]);
  expect(session?.summary?.votes).toMatchObject({ ...votes, proved: [0, 3, 0] });
  expect(await countedVotes(before)).toEqual({
    "proved step 2": 3,
    bad_signature: 1,
    unknown_key: 1,
  });
});

test("the votes of a group over the limit were not started", async () => {
  const groups = Array.from({ length: limits.groupsMax + 1 }, (_, n) => inventedGroup(10 + n));
  const before = await countedVotes();
  const session = await ended(await submit("many", groups));
  const over = session?.outcomes.at(-1);
  expect(over).toMatchObject({ reason: OutcomeReason.LIMIT, votes: { notStarted: 2 } });
  expect(session?.summary?.votes).toMatchObject({ proved: [32, 0], notStarted: 2 });
  expect(await countedVotes(before)).toMatchObject({ "not_started limit": 2 });
});

describe("min_inputs", () => {
  const outcomeOf = async (of: Promise<Awaited<ReturnType<typeof submit>>>) =>
    (await ended(await of))?.outcomes[0];
  const tooFew = (inputs: number) => ({
    status: OutcomeStatus.NOTHING_TO_PROVE,
    detail: `the group has ${inputs} inputs, fewer than min_inputs`,
    leftOut: [],
    attempt: 1,
  });

  test("no proof is made of fewer, and the votes say so", async () => {
    const before = await proofsMade();
    const outcome = await outcomeOf(submit("few", [inventedGroup(40)], { minInputs: 3 }));
    expect(outcome).toMatchObject({ ...tooFew(2), votes: { proved: [0, 0], notStarted: 2 } });
    expect(await proofsMade()).toBe(before);
    const enough = await outcomeOf(submit("enough", [inventedGroup(40)], { minInputs: 2 }));
    expect(enough).toMatchObject({ status: OutcomeStatus.PROVED, detail: "" });
  });

  test.each([
    ["first", 3, 1],
    ["second", 1, 3],
  ])("of two nodes with one attempt, the %s asks for too much", async (which, one, other) => {
    const before = await proofsMade();
    gate.shut();
    // The device is busy, so the two wait and start together.
    const busy = await submit(`busy-${which}`, [inventedGroup(41)]);
    const group = inventedGroup(42 + one);
    const asked = [one, other].map((minInputs) =>
      submit(`${which}-${minInputs}`, [group], { minInputs }),
    );
    const sessions = await Promise.all(asked);
    gate.open();
    const [first, second] = await Promise.all(sessions.map(ended));
    const by = new Map([
      [one, first?.outcomes[0]],
      [other, second?.outcomes[0]],
    ]);
    expect(by.get(1)).toMatchObject({ status: OutcomeStatus.PROVED, attempt: 1 });
    expect(by.get(3)).toMatchObject(tooFew(2));
    await ended(busy);
    expect(await proofsMade()).toBe(before + 2);
  });

  test("counts good children, and raw signatures that are in none of them", async () => {
    const proof = (await outcomeOf(submit("child", [inventedGroup(50)])))?.proof;
    const child = { participants: indicesToBits([0, 1]), proof: proof ?? new Uint8Array() };
    const data = inventedData(50);
    const rawSignatures = [0, 1, 2].map((validator) => inventedRaw(50, validator));
    const bad = { ...child, participants: indicesToBits([0]) };
    const group = { data, rawSignatures, children: [child, bad] };
    const outcome = await outcomeOf(submit("covered", [group], { minInputs: 3 }));
    expect(outcome).toMatchObject({ ...tooFew(2), leftOut: [{ reason: LeftOutReason.BAD_CHILD }] });
    expect(outcome?.votes).toMatchObject({ covered: 2, notStarted: 1 });
    const enough = await outcomeOf(submit("three", [group], { minInputs: 2 }));
    expect(enough).toMatchObject({ status: OutcomeStatus.PROVED, votes: { proved: [3, 0] } });
  });

  test("does not change how a group ends of which nothing can be proved", async () => {
    const bad = { ...inventedRaw(60, 2), signature: inventedRaw(60, 3).signature };
    const group = { data: inventedData(60), rawSignatures: [bad] };
    const outcome = await outcomeOf(submit("bad", [group], { minInputs: 4 }));
    expect(outcome).toMatchObject({ status: OutcomeStatus.REJECTED, detail: "" });
  });
});
