/** The devnet's node: what it does in each interval and with what others send. No clock, no keys. */
import { Registry } from "prom-client";
import { expect, test, vi } from "vitest";
import {
  AggregateSsz,
  BlockWithProofsSsz,
  SyncRequestSsz,
  VoteSsz,
} from "../../../../tools/devnet/chain/containers.js";
import { buildBlock } from "../../../../tools/devnet/chain/propose.js";
import { Store } from "../../../../tools/devnet/chain/store.js";
import type { ProvedGroup } from "../../../../tools/devnet/node/aggregators/aggregator.js";
import { Ballots } from "../../../../tools/devnet/node/ballots.js";
import { StaleResultError } from "../../../../tools/devnet/node/fresh-results.js";
import type { DevnetNode } from "../../../../tools/devnet/node/node.js";
import type { NodeRecord } from "../../../../tools/devnet/node/records.js";
import { SlotReport } from "../../../../tools/devnet/node/slot-report.js";
import { AGGREGATE, dutiesOf, tickAt } from "../../../../tools/devnet/node/slot-time.js";
import { aggregateOf, playSlots, vote, VALIDATORS } from "./devnet-chain.js";
import { ACCEPT, PROPOSE, settled, setUp, tick, VOTE } from "./devnet-setup.js";

const provedOf = (node: DevnetNode, submittedSlot: number): ProvedGroup => ({
  submittedSlot,
  data: node.store.voteData(submittedSlot),
  participants: [0, 1, 2],
  proof: new Uint8Array([7]),
  isLate: false,
});

test("a result made late on purpose ends the node rather than be applied two slots late", () => {
  const { node, state, kinds } = setUp();
  state.proved = [provedOf(node, 5)];
  state.slot = 7;
  expect(() => node.applyResults()).toThrow(StaleResultError);
  expect(kinds()).toEqual([]);
  expect(node.store.pending.size).toBe(0);
});

test("the stale result stops a tick as well, whatever slot the tick is of", () => {
  const { node, state } = setUp();
  state.proved = [provedOf(node, 5)];
  state.slot = 7; // the clock's: the tick is one of those that a frozen node catches up on
  expect(() => node.onTick(tick(5, ACCEPT))).toThrow(StaleResultError);
});

test("with four intervals the third one aggregates and then finds the safe target", async () => {
  expect(dutiesOf(AGGREGATE, 4)).toEqual(["aggregate", "safe target"]);
  expect([0, 1, 2, 3, 4].flatMap((interval) => dutiesOf(interval, 5))).toEqual(
    [0, 1, 2, 3].flatMap((interval) => dutiesOf(interval, 4)),
  );
  const time = { genesisUnixMs: 1000, slotMs: 4000, intervals: 4 } as const;
  expect([999, 1000, 1999, 2000, 5000].map((at) => tickAt(time, at))).toEqual([-1, 0, 0, 1, 4]);
  const { node, state, records } = setUp({ intervals: 4 });
  state.slot = 9;
  node.onTick(4 * 9);
  node.onTick(4 * 9 + 1);
  await settled();
  node.onTick(4 * 9 + 2);
  expect(state.submitted).toEqual([9]);
  const proposed = records.find(({ kind }) => kind === "proposed");
  expect(proposed).toEqual({ kind: "proposed", slot: 9, attestations: 0, atMs: 36_000 });
});

test("a result of this slot or the one before is applied and published", () => {
  const { node, state, kinds, records } = setUp();
  state.proved = [provedOf(node, 5), provedOf(node, 6)];
  state.slot = 6;
  expect(node.applyResults()).toBe(2);
  expect(kinds()).toEqual(["aggregate", "aggregate"]);
  expect(records.map(({ kind }) => kind)).toEqual(["applied", "applied"]);
});

test("the proposer in turn proposes, in its own slot only", () => {
  const { node, state, kinds } = setUp();
  state.slot = 9;
  node.onTick(tick(9, PROPOSE));
  expect(kinds()).toEqual(["block"]);
  state.slot = 18;
  node.onTick(tick(17, PROPOSE)); // caught up on after a stall: too late
  expect(kinds()).toEqual(["block"]);
});

test("a vote is for the head of the voting interval, signed and sent once", async () => {
  const { node, sent } = setUp({ isAggregator: false });
  node.onTick(tick(1, PROPOSE));
  node.onTick(tick(1, VOTE));
  await settled();
  const [, frame] = sent;
  expect(frame?.[0]).toBe("vote");
  const cast = VoteSsz.deserialize(frame?.[1] ?? new Uint8Array());
  expect([cast.validatorIndex, cast.data.slot, cast.data.head.slot]).toEqual([1, 1, 1]);
});

test("with a slot of lookahead a vote is fixed a slot before it is cast", async () => {
  const { node, state, sent } = setUp({ isAggregator: false, lookaheadSlots: 1 });
  node.prepareFirstVotes(1);
  node.onTick(tick(1, PROPOSE));
  node.onTick(tick(1, VOTE));
  await settled();
  state.slot = 2;
  node.onTick(tick(2, VOTE));
  await settled();
  const votes = sent.flatMap(([kind, bytes]) =>
    kind === "vote" ? [VoteSsz.deserialize(bytes)] : [],
  );
  expect(votes.map(({ data }) => [data.slot, data.head.slot])).toEqual([
    [1, 0],
    [2, 1],
  ]);
});

test("a vote that is signed too late for its slot and the next is not cast", async () => {
  const signing = new Map<number, (signature: Uint8Array) => void>();
  const cast: number[] = [];
  const ballots = new Ballots([3], {
    sign: (_, { slot }) => new Promise((resolve) => signing.set(slot, resolve)),
    onVote: ({ data }) => cast.push(data.slot),
    onError: () => undefined,
  });
  const { node } = setUp();
  for (const slot of [1, 2]) ballots.prepare(() => node.store.voteData(slot));
  for (const slot of [1, 2, 3]) ballots.open(slot);
  for (const finish of signing.values()) finish(new Uint8Array([1]));
  await settled();
  expect(cast).toEqual([2]);
});

test("an aggregator starts early at two thirds of the votes, and does not ask twice", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const { node, state } = setUp();
    const data = node.store.voteData(1);
    const receive = (validator: number) =>
      node.onFrame(0, "vote", VoteSsz.serialize(vote(data, validator)));
    for (const validator of [2, 3, 4, 5, 6]) await receive(validator);
    vi.advanceTimersByTime(500);
    expect(state.submitted).toEqual([]);
    await receive(7);
    vi.advanceTimersByTime(79);
    expect(state.submitted).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(state.submitted).toEqual([1]);
    node.onTick(tick(1, AGGREGATE));
    expect(state.submitted).toEqual([1]);
  } finally {
    vi.useRealTimers();
  }
});

test("an early start that finds the aggregator busy is asked again in its interval, and once", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const { node, state, records } = setUp();
    const taken = state.answers;
    state.answers = [{ priority: "aggregation", skipped: "in_flight" }];
    const data = node.store.voteData(1);
    const receive = (validator: number) =>
      node.onFrame(0, "vote", VoteSsz.serialize(vote(data, validator)));
    for (const validator of [2, 3, 4, 5, 6, 7]) await receive(validator);
    vi.advanceTimersByTime(80);
    expect(state.submitted).toEqual([1]);
    await receive(0);
    vi.advanceTimersByTime(500);
    expect(state.submitted).toEqual([1]);
    state.answers = taken;
    node.onTick(tick(1, AGGREGATE));
    node.onTick(tick(1, AGGREGATE));
    await receive(1);
    vi.advanceTimersByTime(500);
    expect(state.submitted).toEqual([1, 1]);
    const started = records.filter(({ kind }) => kind === "submitted");
    expect(started).toMatchObject([{ slot: 1, isEarly: false, groups: [[7, 0]] }]);
  } finally {
    vi.useRealTimers();
  }
});

test("of an early start and its interval one is timed as the tick, and only the interval is late", async () => {
  const ticksOf = async (isTaken: boolean) => {
    const records: NodeRecord[] = [];
    const report = new SlotReport(new Registry(), 5, (record) => records.push(record));
    const store = new Store(VALIDATORS);
    expect(report.timeEarly(1, () => isTaken)).toBe(isTaken);
    report.onTaken(2);
    for (const interval of [AGGREGATE, ACCEPT])
      report.onTick({ tick: tick(1, interval), durationMs: 1, lateMs: 30 }, store);
    await settled();
    return records.flatMap((record) => (record.kind === "slot" ? record.ticks : []));
  };
  const durationMs = expect.any(Number);
  const early = { interval: AGGREGATE, durationMs, lateMs: null };
  const results = { interval: "results", durationMs: 2, lateMs: null };
  const own = { interval: AGGREGATE, durationMs: 1, lateMs: 30 };
  const accept = { interval: ACCEPT, durationMs: 1, lateMs: 30 };
  const extra = { isExtra: true };
  expect(await ticksOf(true)).toEqual([early, results, { ...own, ...extra }, accept]);
  expect(await ticksOf(false)).toEqual([{ ...early, ...extra }, results, own, accept]);
});

test("with every vote in there is nothing to wait for", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const { node, state } = setUp();
    const data = node.store.voteData(1);
    for (let validator = 0; validator < VALIDATORS; validator++)
      await node.onFrame(0, "vote", VoteSsz.serialize(vote(data, validator)));
    vi.advanceTimersByTime(0);
    expect(state.submitted).toEqual([1]);
  } finally {
    vi.useRealTimers();
  }
});

test("each session that is skipped is recorded, and what was submitted beside it", async () => {
  const skip = async (backlog: string | null) => {
    const { node, state, records } = setUp();
    state.answers = [
      { priority: "aggregation", skipped: "in_flight" },
      { priority: "backlog", skipped: backlog },
    ];
    await node.onFrame(0, "vote", VoteSsz.serialize(vote(node.store.voteData(1), 2)));
    node.onTick(tick(1, AGGREGATE));
    return records.filter(({ kind }) => kind === "skipped" || kind === "submitted");
  };
  const first = { kind: "skipped", slot: 1, priority: "aggregation", reason: "in_flight" };
  const submitted = { kind: "submitted", slot: 1, sessions: 1 };
  expect(await skip(null)).toMatchObject([first, submitted]);
  expect(await skip("no_prover")).toEqual([
    first,
    { ...first, priority: "backlog", reason: "no_prover" },
  ]);
});

test("with fewer votes the aggregating interval asks, and with none nothing is asked", async () => {
  const { node, state, records } = setUp();
  node.onTick(tick(1, AGGREGATE));
  expect(state.submitted).toEqual([]);
  state.slot = 2;
  const data = node.store.voteData(2);
  await node.onFrame(0, "vote", VoteSsz.serialize(vote(data, 4)));
  node.onTick(tick(2, AGGREGATE));
  expect(state.submitted).toEqual([2]);
  const submitted = { kind: "submitted", slot: 2, isEarly: false, groups: [[1, 0]] };
  expect(records).toContainEqual({ ...submitted, sessions: 1 });
});

test("a session of votes and one of backlog are two", async () => {
  const { node, state, records } = setUp();
  state.answers = [
    { priority: "aggregation", skipped: null },
    { priority: "backlog", skipped: null },
  ];
  await node.onFrame(0, "vote", VoteSsz.serialize(vote(node.store.voteData(1), 2)));
  node.onTick(tick(1, AGGREGATE));
  const started = records.filter(({ kind }) => kind === "submitted");
  expect(started).toMatchObject([{ slot: 1, sessions: 2 }]);
});

test("bad signatures and proofs from others are refused, and said", async () => {
  const { node, news } = setUp();
  const data = node.store.voteData(1);
  const unsigned = { ...vote(data, 0), signature: new Uint8Array([0]) };
  await node.onFrame(2, "vote", VoteSsz.serialize(unsigned));
  const bad = { ...aggregateOf(data, [1, 2]), proof: new Uint8Array([0]) };
  await node.onFrame(2, "aggregate", AggregateSsz.serialize(bad));
  await node.onFrame(2, "aggregate", new Uint8Array([1]));
  expect(node.store.raws.size + node.store.pending.size).toBe(0);
  expect(news()[0]).toBe("vote of node 2: bad signature of validator 0");
  expect(news()[1]).toBe("aggregate of node 2: the proof does not verify");
  expect(news()).toHaveLength(3);
});

test("a block is refused for one bad proof, and an orphan asks for what is missing", async () => {
  const { node, sent, news } = setUp();
  const ahead = playSlots(1, 6);
  const built = buildBlock(ahead, 7);
  const spoilt = { ...built, proofs: built.proofs.map(() => new Uint8Array([0])) };
  expect(built.proofs.length).toBeGreaterThan(0);
  await node.onFrame(3, "block", BlockWithProofsSsz.serialize(spoilt));
  expect(news()).toEqual(["block of node 3: the proof does not verify"]);
  await node.onFrame(3, "block", BlockWithProofsSsz.serialize(built));
  const [kind, bytes] = sent.at(-1) ?? [];
  expect(kind).toBe("syncRequest");
  expect(SyncRequestSsz.deserialize(bytes ?? new Uint8Array()).afterSlot).toBe(0);
});

test("a peer that comes back gets our latest votes and what it asks for", async () => {
  const { node, sent, kinds } = setUp();
  node.onTick(tick(1, PROPOSE));
  node.onTick(tick(1, VOTE));
  await settled();
  sent.length = 0;
  node.onPeer(2);
  expect(kinds()).toEqual(["vote", "syncRequest"]);
  await node.onFrame(2, "syncRequest", SyncRequestSsz.serialize({ afterSlot: 0 }));
  expect(kinds().at(-1)).toBe("blocks");
});
