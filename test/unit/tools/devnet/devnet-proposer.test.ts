/** Blocks with one proof of their body: what the proposer does ahead of its slot, and at its start. */
import { expect, test } from "vitest";
import {
  BlockWithProofsSsz,
  hex,
  messageOf,
  VoteSsz,
  type Aggregate,
  type BlockWithProofs,
} from "../../../../tools/devnet/chain/containers.js";
import { assembleBlock, buildBlock, chooseBody } from "../../../../tools/devnet/chain/propose.js";
import type {
  BodyMerger,
  MergeAsk,
  Merged,
} from "../../../../tools/devnet/node/aggregators/body-merger.js";
import { AGGREGATE } from "../../../../tools/devnet/node/slot-time.js";
import { aggregateOf, playSlots } from "./devnet-chain.js";
import { PROPOSE, settled, setUp, tick, VOTE } from "./devnet-setup.js";

/** Validator 1, which is the node's own, proposes in slot 9. */
const SLOT = 9;

/** A merger whose merges end when the test says so. */
function testMerger(canReplace: boolean) {
  const asks: MergeAsk[] = [];
  const cancelled: MergeAsk[] = [];
  const ended: Merged[] = [];
  let refusal: string | null = null;
  const merger: BodyMerger = {
    canReplace,
    startMerge: (ask) => {
      asks.push(ask);
      return refusal ?? "started";
    },
    takeMerged: () => ended.splice(0),
    cancelMerge: (ask) => cancelled.push(ask),
  };
  const end = (
    proof: number[] | null,
    at = asks.length - 1,
    { bad = [], without = "failed" }: { bad?: number[]; without?: Merged["end"] } = {},
  ) => {
    const ask = asks[at];
    if (ask === undefined) throw new Error(`no merge ${at} was asked for`);
    const bytes = proof === null ? null : new Uint8Array(proof);
    ended.push({
      ask,
      end: proof === null ? without : "proved",
      proof: bytes,
      proveMs: 1500,
      detail: proof === null ? "rejected" : "",
      bad,
    });
  };
  const refuse = (reason: string | null) => (refusal = reason);
  return { merger, asks, cancelled, end, refuse };
}

/** The node in slot 8, whose votes have two messages; their two proofs are at hand. */
function inSlotBefore({
  canReplace = true,
  ...options
}: Parameters<typeof setUp>[0] & { canReplace?: boolean } = {}) {
  const merging = testMerger(canReplace);
  const signing: number[] = [];
  const made = setUp({
    merger: merging.merger,
    signBlock: (validator) => {
      signing.push(validator);
      return Promise.resolve(new Uint8Array([100 + validator]));
    },
    ...options,
  });
  const { node, state } = made;
  state.slot = SLOT - 1;
  playSlots(1, SLOT - 2, node.store);
  const addBlock = () => node.store.importBlock(buildBlock(node.store, SLOT - 1));
  const addFirstVotes = () =>
    node.store.addAggregate(aggregateOf(node.store.voteData(8), [0, 2, 4, 6, 7]));
  const addVotes = () => {
    addFirstVotes();
    node.store.addAggregate(aggregateOf(node.store.voteData(8, true), [1, 3, 5]));
  };
  const grow = async () => {
    node.applyResults();
    await settled();
    node.applyResults();
  };
  const propose = async () => {
    state.slot = SLOT;
    node.onTick(tick(SLOT, PROPOSE));
    await settled();
  };
  const block = (): BlockWithProofs => {
    const [bytes] = made.sent.flatMap(([kind, each]) => (kind === "block" ? [each] : []));
    return BlockWithProofsSsz.deserialize(bytes ?? new Uint8Array());
  };
  const merged = () => made.records.filter((record) => record.kind === "merged");
  return {
    ...{ ...made, ...merging, signing, addBlock, addFirstVotes, addVotes },
    ...{ grow, propose, block, merged },
  };
}

test("a candidate has all messages, and is verified before the key signs", async () => {
  const { asks, end, addBlock, addVotes, grow, propose, block, ...made } = inSlotBefore();
  addBlock();
  addVotes();
  await grow();
  await grow();
  expect(asks.map(({ slot, body, signed }) => [slot, body.length, signed])).toEqual([[9, 2, null]]);
  end([8]);
  await grow();
  const claims = (asks[0]?.body ?? []).map(({ data, participants }) => ({
    message: messageOf(data),
    keys: participants.getTrueBitIndexes().map((at) => new Uint8Array([at])),
  }));
  expect(made.verified).toEqual([claims]);
  expect(made.signing).toEqual([]);
  await propose();
  expect(made.signing).toEqual([1]);
  expect(asks).toHaveLength(1);
  expect(block().proofs).toEqual([new Uint8Array([8])]);
  expect(block().signature).toEqual(new Uint8Array([101]));
  expect(block().block.body.attestations).toHaveLength(2);
  expect(made.records.at(-1)).toMatchObject({ kind: "proposed", attestations: 2, wanted: 2 });
  expect(made.node.store.headBlock.slot).toBe(SLOT);
});

test("with a larger merge still in flight, the block has the smaller one's body", async () => {
  const { asks, cancelled, end, addBlock, addVotes, grow, propose, block, ...made } =
    inSlotBefore();
  addBlock();
  addVotes();
  await grow();
  end(null, 0, { without: "missed" });
  await grow();
  end([7]);
  await grow();
  made.node.onTick(tick(8, VOTE));
  expect(asks.map(({ body }) => body.length)).toEqual([2, 1, 2]);
  await propose();
  expect(block().block.body.attestations).toHaveLength(1);
  expect(block().proofs).toEqual([new Uint8Array([7])]);
  expect(cancelled).toEqual([asks[2]]);
  expect(made.records.at(-1)).toMatchObject({ kind: "proposed", attestations: 1, wanted: 2 });
});

test("a merge that waits is replaced by a fuller one", async () => {
  const { asks, end, addBlock, addFirstVotes, addVotes, grow, propose, block, merged } =
    inSlotBefore();
  addBlock();
  addFirstVotes();
  await grow();
  addVotes();
  await grow();
  expect(asks.map(({ body }) => body.length)).toEqual([1, 2]);
  end(null, 0, { without: "superseded" });
  end([7], 1);
  await grow();
  expect(merged()).toMatchObject([
    { status: "cancelled", components: 1 },
    { status: "proved", components: 2 },
  ]);
  await propose();
  expect(block().proofs).toEqual([new Uint8Array([7])]);
});

test("where none can be replaced, one merge is in flight at a time", async () => {
  const { asks, end, addBlock, addFirstVotes, addVotes, grow } = inSlotBefore({
    canReplace: false,
  });
  addBlock();
  addFirstVotes();
  await grow();
  addVotes();
  await grow();
  expect(asks.map(({ body }) => body.length)).toEqual([1]);
  end([7]);
  await grow();
  expect(asks.map(({ body }) => body.length)).toEqual([1, 2]);
});

test("without a candidate at the slot's start the body is empty, and nothing is waited for", async () => {
  const { end, addBlock, addVotes, grow, propose, block, signing, ...made } = inSlotBefore();
  addBlock();
  addVotes();
  await grow();
  const proposing = propose();
  expect(signing).toEqual([1]); // within the tick
  await proposing;
  expect(block().block.body.attestations).toEqual([]);
  expect(block().proofs).toEqual([]);
  end([7], 0); // it ends all the same, and changes nothing
  await grow();
  expect(made.kinds().filter((kind) => kind === "block")).toHaveLength(1);
  expect(made.merged()).toMatchObject([{ status: "cancelled", components: 2 }]);
});

test("a proof that does not verify is no candidate, and is asked for again in the next tick", async () => {
  const { asks, end, addBlock, addVotes, grow, propose, block, ...made } = inSlotBefore();
  addBlock();
  addVotes();
  await grow();
  end([0]);
  await grow();
  expect(made.merged()).toMatchObject([{ status: "failed", detail: "the proof does not verify" }]);
  expect(asks).toHaveLength(1);
  made.node.onTick(tick(8, VOTE));
  expect(asks).toHaveLength(2);
  end(null);
  await grow();
  expect(made.merged().at(-1)).toMatchObject({ status: "failed", detail: "rejected" });
  await propose();
  expect(block().block.body.attestations).toEqual([]);
});

test("an attestation whose proof is to blame is not asked for again", async () => {
  const { asks, end, addBlock, addVotes, grow, node } = inSlotBefore();
  addBlock();
  addVotes();
  await grow();
  end(null, 0, { bad: [0] });
  await grow();
  node.onTick(tick(8, VOTE));
  await grow();
  const [first, second] = asks.map(({ body }) => body.map(({ data }) => hex(messageOf(data))));
  expect(second).toHaveLength(1);
  expect(second).not.toEqual(first);
});

test("a merger that refuses is asked again in the next tick", async () => {
  const { asks, refuse, addBlock, addVotes, grow, node, merged } = inSlotBefore();
  addBlock();
  addVotes();
  refuse("no_prover");
  await grow();
  expect(asks).toHaveLength(1);
  expect(merged()).toMatchObject([{ status: "refused", detail: "no_prover" }]);
  refuse(null);
  node.onTick(tick(8, VOTE));
  await grow();
  expect(asks).toHaveLength(2);
});

test("a merge and a candidate whose parent is stale are cancelled, and growth begins anew", async () => {
  const { asks, cancelled, end, addBlock, grow, propose, block, node, merged } = inSlotBefore();
  // Until the block of this slot is there, or is not awaited any more, nothing is built.
  const data = node.store.voteData(7);
  node.store.addAggregate(aggregateOf(data, [0, 1, 2]));
  await grow();
  expect(asks).toEqual([]);
  node.onTick(tick(8, AGGREGATE));
  await grow();
  const earlier = hex(node.store.headBlock.root);
  expect(asks.map(({ body }) => body.length)).toEqual([2]);
  addBlock(); // late
  expect(hex(node.store.headBlock.root)).not.toBe(earlier);
  await grow();
  expect(cancelled).toEqual([asks[0]]);
  expect(merged()).toMatchObject([{ status: "cancelled", detail: "stale parent" }]);
  end([7], 0);
  await grow();
  await propose();
  expect(block().block.parentRoot).toEqual(
    node.store.blocks.get(node.store.headBlock.parent)?.root,
  );
  expect(block().block.body.attestations).toEqual([]);
});

test("only a node whose turn is next builds a body, and its key signs once a slot", async () => {
  const { asks, addVotes, addBlock, grow, propose, signing, node, state } = inSlotBefore();
  addBlock();
  addVotes();
  state.slot = 7; // slot 8 is another node's
  await grow();
  expect(asks).toEqual([]);
  await propose();
  node.onTick(tick(SLOT, PROPOSE));
  expect(signing).toEqual([1]);
});

test("the spec's block proof has the body and the proposer's signature, within the slot", async () => {
  const { asks, end, addBlock, addVotes, grow, propose, ...made } = inSlotBefore({
    blockProofEvery: 3,
  });
  addBlock();
  addVotes();
  await grow();
  end([7]);
  await grow();
  await propose();
  expect(asks).toHaveLength(1); // it begins between two ticks
  await grow();
  const root = made.node.store.headBlock.root;
  expect(asks[1]).toMatchObject({ slot: SLOT, body: [{}, {}], signed: { root, validator: 1 } });
  end([9]);
  await grow();
  expect(made.verified.at(-1)?.at(-1)).toEqual({ message: root, keys: [new Uint8Array([101])] });
  expect(made.merged().at(-1)).toMatchObject({
    form: "block",
    components: 3,
    status: "proved",
    proveMs: 1500,
  });
});

test("a block proof that is not there within its slot has failed", async () => {
  const { addBlock, grow, propose, merged, state } = inSlotBefore({ blockProofEvery: 3 });
  addBlock();
  await propose();
  await grow();
  state.slot = SLOT + 1;
  await grow();
  expect(merged()).toMatchObject([{ form: "block", components: 1, status: "failed" }]);
});

/** A signed block of slot 7 with a proof of its whole body, and a node that has slot 6. */
function received() {
  const made = setUp({ merger: testMerger(true).merger });
  playSlots(1, 6, made.node.store);
  const body = chooseBody(made.node.store, 7, { componentsMax: 2 });
  expect(body.length).toBeGreaterThan(0);
  const build = (of: readonly Aggregate[]): BlockWithProofs => ({
    block: assembleBlock(made.node.store, 7, of),
    proofs: [new Uint8Array([5])],
    signature: new Uint8Array([6]),
  });
  const receive = (block: BlockWithProofs) =>
    made.node.onFrame(3, "block", BlockWithProofsSsz.serialize(block));
  return { ...made, body, build, receive };
}

test.each([
  ["a bad proof", { proofs: [new Uint8Array([0])] }, "the body's proof does not verify"],
  ["no proof", { proofs: [] }, "the body has 0 proofs, expected one"],
  ["proofs of each", { proofs: [1, 2].map((of) => new Uint8Array([of])) }, "2 proofs"],
  ["a bad signature", { signature: new Uint8Array([0]) }, "bad signature of proposer 7"],
])("a block with %s is dropped", async (_, change, text) => {
  const { build, body, receive, news, node } = received();
  await receive({ ...build(body), ...change });
  expect(news().join()).toContain(text);
  expect(node.store.headBlock.slot).toBe(6);
});

test("a body of too many messages is dropped", async () => {
  const { build, body, receive, news, node } = received();
  const [first] = body;
  if (first === undefined) throw new Error("there is no body");
  await receive(build([first, first, first]));
  expect(news()).toEqual(["block of node 3: the body has 3 attestations, at most 2"]);
  expect(node.store.headBlock.slot).toBe(6);
});

test("a block whose body and signature verify is imported, and so is an empty one", async () => {
  const { build, body, receive, news, node, verified } = received();
  await receive(build(body));
  expect(news()).toEqual([]);
  expect(verified.at(-1)).toHaveLength(body.length);
  expect(node.store.headBlock.slot).toBe(7);
  const other = received();
  await other.receive({ ...other.build([]), proofs: [] });
  expect(other.node.store.headBlock.slot).toBe(7);
});

test("validators of odd index vote on the parent of the head where there are two views", async () => {
  const heads = async (hasTwoViews: boolean) => {
    const { node, state, sent } = setUp({ isAggregator: false, hasTwoViews });
    playSlots(1, 6, node.store);
    node.store.importBlock(buildBlock(node.store, 7));
    state.slot = 7;
    node.onTick(tick(7, VOTE));
    await settled();
    return sent.map(([, bytes]) => VoteSsz.deserialize(bytes).data.head.slot);
  };
  expect([await heads(false), await heads(true)]).toEqual([[7], [6]]);
});
