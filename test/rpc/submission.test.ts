/** What a request asks of its groups beyond a proof, and how the outcomes answer it. */
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  AggregatorClient,
  bitsToIndices,
  decodeSszBitlist,
  encodeSszBitlist,
} from "../../client/index.js";
import { OutcomeReason } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../server/limits.js";
import type { Service } from "../../server/service.js";
import { Gate, inventedData, inventedGroup, inventedRaw } from "../../tools/harness/contract.js";
import { keyTable, snapshot } from "../../tools/harness/vectors.js";
import type { GroupInit } from "../../tools/harness/vectors.js";
import { metricValue } from "../helpers/metric-value.js";
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
  const session = await ended(await submit("votes", [mixed, inventedGroup(5)], { steps }));
  const votes = { proved: [0, 1, 0], badSignature: 1, unknownKey: 1, notStarted: 0 };
  expect(session?.outcomes.map((outcome) => outcome.votes)).toMatchObject([
    votes,
    { proved: [0, 2, 0], badSignature: 0 },
  ]);
  expect(session?.summary?.votes).toMatchObject({ ...votes, proved: [0, 3, 0] });
  const counted = (fate: string) =>
    metricValue(service.metrics.registry, "lean_aggregator_server_votes_total", { fate });
  expect(await counted("bad_signature")).toBe(1);
  expect(await counted("unknown_key")).toBe(1);
  expect(await counted("shed")).toBe(0);
});

test("the votes of a group over the limit were not started", async () => {
  const groups = Array.from({ length: limits.groupsMax + 1 }, (_, n) => inventedGroup(10 + n));
  const session = await ended(await submit("many", groups));
  const over = session?.outcomes.at(-1);
  expect(over).toMatchObject({ reason: OutcomeReason.LIMIT, votes: { notStarted: 2 } });
  expect(session?.summary?.votes).toMatchObject({ proved: [32, 0], notStarted: 2 });
});
