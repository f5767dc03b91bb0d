/** The devnet's ways to aggregate, over fake provers: what is skipped, dropped and handed over. */
import { fromBinary } from "@bufbuild/protobuf";
import { Registry } from "prom-client";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { AggregatorClient } from "../../../../client/index.js";
import { SubmitSnapshotRequestSchema } from "../../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Service } from "../../../../server/service.js";
import { fakeSignature, startFakeProver } from "../../../../server/prover/fake/fake.js";
import { messageOf, participantsOf } from "../../../../tools/devnet/chain/containers.js";
import type { VoteGroup } from "../../../../tools/devnet/chain/freeze-votes.js";
import { freezeVotes } from "../../../../tools/devnet/chain/freeze-votes.js";
import type { ProvedGroup } from "../../../../tools/devnet/node/aggregators/aggregator.js";
import { createInProcessMetrics } from "../../../../tools/devnet/node/aggregators/in-process-metrics.js";
import { InlineAggregator } from "../../../../tools/devnet/node/aggregators/inline-aggregator.js";
import {
  ServiceAggregator,
  type SkippedSession,
} from "../../../../tools/devnet/node/aggregators/service-aggregator.js";
import { WorkerAggregator } from "../../../../tools/devnet/node/aggregators/worker-aggregator.js";
import { aggregateOf, playSlots, vote } from "./devnet-chain.js";
import { listenTestService, startTestService } from "../../../helpers/start-service.js";
import { dataOf, keyTable, publicKey } from "../../../../tools/harness/vectors.js";

const SLOT_MS = 12_000;
const WAIT = { timeout: 20_000 };

/** The deadline of this slot's votes, which is before that of its backlog. */
const DEADLINE_MS = 5000;

/** Two groups: votes of slot 6, and votes of slot 5 beside a proof of others. */
function twoGroups(): VoteGroup[] {
  const store = playSlots(1, 4);
  const [older, now] = [store.voteData(5), store.voteData(6)];
  store.addVote(vote(older, 1));
  for (const validator of [2, 3, 4]) store.addVote(vote(now, validator));
  store.addAggregate(aggregateOf(older, [2, 3, 4, 5, 6]));
  return freezeVotes(store, 6);
}

const metrics = () => createInProcessMetrics(new Registry());
const submitted = { priority: "aggregation", skipped: null };
const submittedBacklog = { ...submitted, priority: "backlog" };
const closing = { close: () => Promise.resolve() };

beforeEach(() => vi.useFakeTimers({ toFake: ["setTimeout", "performance"] }));
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test("inline has its proofs at once, and starts no group after the deadline", () => {
  const proveBlocking = (group: VoteGroup) => {
    vi.advanceTimersByTime(800);
    return new Uint8Array([group.data.slot]);
  };
  const aggregator = new InlineAggregator({ proveBlocking, ...closing }, metrics(), 750);
  expect(aggregator.submit(6, twoGroups)).toEqual([submitted]);
  const taken = aggregator.take(6);
  expect(taken.map(({ participants, isLate }) => [participants, isLate])).toEqual([
    [[2, 3, 4], true],
  ]);
  expect(aggregator.take(6)).toEqual([]);
});

test("an inline proof that outlasts its fence is dropped", () => {
  const prover = { proveBlocking: () => new Uint8Array([1]), ...closing };
  const aggregator = new InlineAggregator(prover, metrics(), 750);
  aggregator.submit(6, twoGroups);
  expect(aggregator.take(8)).toEqual([]);
  expect(aggregator.take(6)).toEqual([]);
});

/** A worker in slot 6, which ends in 5 s; `fails` are data's slots of proofs that do not verify. */
function startWorker(prove: (group: VoteGroup) => Promise<Uint8Array>, fails: number[] = []) {
  const genesisUnixMs = Date.now() + 5000 - 7 * SLOT_MS;
  const time = { genesisUnixMs, slotMs: SLOT_MS, intervals: 5 as const };
  const errors: string[] = [];
  const counted = metrics();
  const modules = {
    prover: { prove, ...closing },
    metrics: counted,
    verify: ({ data }: ProvedGroup) => Promise.resolve(!fails.includes(data.slot)),
    onError: ({ message }: Error) => errors.push(message),
  };
  const aggregator = new WorkerAggregator({ time, deadlineMs: 750 }, modules);
  return { aggregator, counted, errors };
}

/** A proof of the data's slot, which takes so long. */
const provedIn = (ms: number) => (group: VoteGroup) =>
  new Promise<Uint8Array>((resolve) =>
    setTimeout(() => resolve(new Uint8Array([group.data.slot])), ms),
  );

test("a worker's proof that does not verify is not handed over, and said", async () => {
  const { aggregator, errors } = startWorker(provedIn(1), [6]);
  aggregator.submit(6, twoGroups);
  await vi.advanceTimersByTimeAsync(10);
  expect(aggregator.take(6).map(({ data }) => data.slot)).toEqual([5]);
  expect(errors).toEqual(["a proof does not verify"]);
});

test("a worker starts votes of earlier slots until a second before the slot's end", async () => {
  const slots = async (proveMs: number) => {
    const { aggregator } = startWorker(provedIn(proveMs));
    aggregator.submit(6, twoGroups);
    await vi.advanceTimersByTimeAsync(9000);
    return aggregator.take(6).map(({ data, isLate }) => [data.slot, isLate]);
  };
  expect(await slots(1500)).toEqual([
    [6, true],
    [5, false],
  ]);
  expect(await slots(4100)).toEqual([[6, true]]);
});

test("a busy worker skips, and what it proves covers raws and child", async () => {
  const { aggregator, counted } = startWorker(provedIn(300));
  expect(aggregator.submit(6, twoGroups)).toEqual([submitted]);
  await vi.advanceTimersByTimeAsync(299);
  expect(aggregator.take(6)).toEqual([]);
  expect(aggregator.submit(6, twoGroups)).toEqual([{ ...submitted, skipped: "in_flight" }]);
  await vi.advanceTimersByTimeAsync(301);
  const taken = aggregator.take(6);
  expect(taken.map(({ participants }) => participants)).toEqual([
    [2, 3, 4],
    [1, 2, 3, 4, 5, 6],
  ]);
  expect(taken.map(({ proof }) => [...proof])).toEqual([[6], [5]]);
  expect((await counted.skips.get()).values).toMatchObject([
    { labels: { reason: "in_flight" }, value: 1 },
  ]);
  expect(aggregator.submit(7, twoGroups)).toEqual([submitted]);
});

test("the worker's proofs are dropped at their fence, and counted", async () => {
  const { aggregator, counted } = startWorker(() => Promise.resolve(new Uint8Array([1])));
  aggregator.submit(6, twoGroups);
  await vi.advanceTimersByTimeAsync(0);
  expect(aggregator.take(8)).toEqual([]);
  expect((await counted.fenced.get()).values[0]?.value).toBe(2);
});

/** No validator's keys for votes. */
const PROPOSAL_KEYS = [0, 1, 2].map((at) => publicKey(at).map((byte) => byte ^ 255));

/** Mode `remote` in this slot, before a service whose proofs take so long. */
async function startServed(slot: number, proveMs: number) {
  const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
  return serve(
    slot,
    await startTestService(() => startFakeProver({ proveMs: () => proveMs, sleep })),
  );
}

/** `news` and `skipped` are what the aggregator reports. */
function serve(slot: number, service: Service) {
  const [endpoint = ""] = service.addresses;
  const keys = keyTable().map(({ publicKey: key }) => key);
  const verified: number[] = [];
  const news: string[] = [];
  const skipped: SkippedSession[] = [];
  const checkpoint = { root: new Uint8Array(32), slot: 0 };
  const aggregator = new ServiceAggregator(
    {
      endpoint,
      nodeId: "devnet-test",
      time: { genesisUnixMs: Date.now() - slot * SLOT_MS, slotMs: SLOT_MS, intervals: 5 },
      deadlineMs: DEADLINE_MS,
      keys,
      proposalKeys: PROPOSAL_KEYS,
    },
    {
      registry: new Registry(),
      checkpoints: () => ({ head: checkpoint, justified: checkpoint }),
      verify: ([claim]) => Promise.resolve(verified.push(claim?.keys.length ?? 0) > 0),
      onNews: (text) => news.push(text),
      onSkipped: (session) => skipped.push(session),
    },
  );
  const taken: ProvedGroup[] = [];
  return {
    aggregator,
    verified,
    news,
    skipped,
    untilTaken: (count: number) =>
      vi.waitUntil(() => {
        taken.push(...aggregator.take(slot));
        return taken.length >= count ? taken : undefined;
      }, WAIT),
    close: async () => {
      await aggregator.close();
      await service.close();
    },
  };
}

/** Votes of three validators for one of the vectors' data, as of that slot. */
function groupOf(index: number, slot: number): VoteGroup {
  const { head, target, source } = dataOf(index);
  const plain = (at: typeof head) => ({ root: at.root, slot: Number(at.slot) });
  const data = { slot, head: plain(head), target: plain(target), source: plain(source) };
  const message = messageOf(data);
  const raws = [3, 4, 5].map((validator) => ({
    validator,
    signature: fakeSignature(publicKey(validator), message, slot),
  }));
  return { data, message, raws, children: [] };
}

test("through the service, participants and data come back as they were sent", async () => {
  vi.useRealTimers();
  const { aggregator, verified, untilTaken, close } = await startServed(0, 1);
  try {
    const group = groupOf(0, 0);
    expect(aggregator.submit(0, () => [group])).toEqual([submitted]);
    const [proved] = await untilTaken(1);
    const { data } = group;
    expect(proved).toMatchObject({ submittedSlot: 0, data, participants: [3, 4, 5] });
    expect(verified).toEqual([3]);
  } finally {
    await close();
  }
});

test("through the service, votes of earlier slots are backlog with longer to start", async () => {
  vi.useRealTimers();
  const sending = vi.spyOn(AggregatorClient.prototype, "submitEncoded");
  const { aggregator, news, untilTaken, close } = await startServed(9, 100);
  try {
    const groups = [groupOf(1, 9), groupOf(0, 7), groupOf(0, 6), groupOf(0, 5)];
    expect(aggregator.submit(9, () => groups)).toEqual([submitted, submittedBacklog]);
    expect(aggregator.submit(9, () => groups)).toEqual([
      { ...submitted, skipped: "in_flight" },
      { ...submittedBacklog, skipped: "in_flight" },
    ]);
    const taken = await untilTaken(4);
    expect(taken.map(({ data: { slot } }) => slot)).toEqual([9, 7, 6, 5]);
    const deadlinesMs = sending.mock.calls.map(
      ([bytes]) => fromBinary(SubmitSnapshotRequestSchema, bytes).deadlineMs ?? 0,
    );
    expect(deadlinesMs[0]).toBeLessThanOrEqual(DEADLINE_MS);
    expect(deadlinesMs[1]).toBeGreaterThan(DEADLINE_MS);
    expect(news).toEqual([]);
  } finally {
    await close();
  }
});

test("a session that is skipped after its submission is said with its priority", async () => {
  vi.useRealTimers();
  const unready = startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() });
  const service = await listenTestService(() =>
    Object.assign(unready, { ready: new Promise(() => undefined) }),
  );
  const { aggregator, skipped, close } = serve(9, service);
  try {
    const groups = [groupOf(1, 9), groupOf(0, 7)];
    expect(aggregator.submit(9, () => groups)).toEqual([submitted, submittedBacklog]);
    await vi.waitUntil(() => skipped.length === 2, WAIT);
    expect(skipped).toEqual([
      { slot: 9, priority: "aggregation", reason: "no_prover" },
      { slot: 9, priority: "backlog", reason: "no_prover" },
    ]);
  } finally {
    await close();
  }
});

test("through the service a body and the spec's block proof are merged beside the votes", async () => {
  vi.useRealTimers();
  const { aggregator, untilTaken, close } = await startServed(9, 1);
  try {
    const groups = [groupOf(0, 8), groupOf(1, 9)];
    expect(aggregator.submit(9, () => groups)).toEqual([submitted, submittedBacklog]);
    const proved = await untilTaken(2);
    const body = proved.map(({ data, participants, proof }) => {
      return { data, participants: participantsOf(participants), proof };
    });
    const untilMerged = () =>
      vi.waitUntil(() => {
        const [merged] = aggregator.takeMerged(9);
        return merged;
      }, WAIT);
    const ahead = { slot: 10, body, signed: null };
    expect(aggregator.startMerge(ahead)).toBe("started");
    const made = await untilMerged();
    expect(made).toMatchObject({ ask: ahead, detail: "" });
    expect(made.proof?.length).toBeGreaterThan(0);
    const root = new Uint8Array(32).fill(9);
    const signature = fakeSignature(PROPOSAL_KEYS[1] ?? new Uint8Array(), root, 9);
    const spec = { slot: 9, body, signed: { root, validator: 1, signature } };
    expect(aggregator.startMerge(spec)).toBe("started");
    const block = await untilMerged();
    expect(block).toMatchObject({ ask: spec, detail: "" });
    const forged = { ...spec, signed: { ...spec.signed, validator: 2 } };
    expect(aggregator.startMerge(forged)).toBe("started");
    expect(await untilMerged()).toMatchObject({ ask: forged, proof: null });
  } finally {
    await close();
  }
});
