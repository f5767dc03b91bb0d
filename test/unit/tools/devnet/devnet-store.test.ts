/** What a node of the devnet keeps: votes, aggregates, head and safe target, and what it asks for. */
import { expect, test } from "vitest";
import { blockRoot, hex, messageOf } from "../../../../tools/devnet/chain/containers.js";
import { freezeVotes } from "../../../../tools/devnet/chain/freeze-votes.js";
import {
  chooseHead,
  chooseTarget,
  type ForkBlock,
} from "../../../../tools/devnet/chain/fork-choice.js";
import { buildBlock } from "../../../../tools/devnet/chain/propose.js";
import { Store } from "../../../../tools/devnet/chain/store.js";
import { aggregateOf, everyone, playSlot, playSlots, vote, VALIDATORS } from "./devnet-chain.js";

test("an aggregate takes away exactly the raw signatures that it represents", () => {
  const store = playSlots(1, 2);
  const data = store.voteData(3);
  for (const validator of [1, 4, 6]) store.addVote(vote(data, validator));
  store.addAggregate(aggregateOf(data, [1, 2, 4]));
  expect([...(store.raws.get(hex(messageOf(data)))?.signatures.keys() ?? [])]).toEqual([6]);
  store.addVote(vote(data, 2));
  expect(store.raws.get(hex(messageOf(data)))?.signatures.has(2)).toBe(false);
  store.addAggregate(aggregateOf(data, [6]));
  expect(store.raws.size).toBe(0);
});

test("pending aggregates move the safe target, and the head only once accepted", () => {
  const store = new Store(VALIDATORS);
  const first = buildBlock(store, 1);
  store.importBlock(first);
  // A fork: slot 2 is proposed on genesis too, and the votes go to slot 1.
  const other = buildBlock(new Store(VALIDATORS), 2);
  store.importBlock(other);
  const [one, two] = [first, other].map(({ block }) => hex(blockRoot(block)));
  const withoutVotes = store.head;
  const chosen = withoutVotes === one ? two : one;
  const head = store.blocks.get(chosen ?? "");
  if (head === undefined) throw new Error("the fork is not in the store");
  const data = { ...store.voteData(2), head: { root: head.root, slot: head.slot } };
  store.addAggregate(aggregateOf(data, [0, 1, 2, 3, 4]));
  store.updateSafeTarget();
  expect(store.safeTarget).toBe(hex(store.genesis)); // five of eight are not two thirds
  store.addAggregate(aggregateOf(data, [5]));
  store.updateSafeTarget();
  expect(store.safeTarget).toBe(chosen);
  expect(store.head).toBe(withoutVotes);
  store.acceptPending();
  expect(store.head).toBe(chosen);
});

test("the head has most votes below it, and the higher root where they are equal", () => {
  const block = (name: number, slot: number, parent: string): [string, ForkBlock] => {
    const root = new Uint8Array(32).fill(name);
    return [hex(root), { root, slot, parent }];
  };
  const [genesis, base] = block(1, 0, "");
  const [left, leftBlock] = block(2, 1, genesis);
  const [right, rightBlock] = block(3, 1, genesis);
  const blocks = new Map([
    [genesis, base],
    [left, leftBlock],
    [right, rightBlock],
  ]);
  const head = (votes: [number, string][]) =>
    chooseHead(blocks, genesis, new Map(votes.map(([v, head]) => [v, { slot: 1, head }])));
  expect(head([])).toBe(right); // the higher root
  expect(head([[0, left]])).toBe(left);
  expect(
    head([
      [0, left],
      [1, right],
    ]),
  ).toBe(right);
  expect(
    head([
      [0, left],
      [1, left],
      [2, right],
    ]),
  ).toBe(left);
});

test("a validator's later vote counts, whatever the order of arrival", () => {
  for (const order of [
    [1, 2],
    [2, 1],
  ]) {
    const store = new Store(VALIDATORS);
    const early = buildBlock(store, 1);
    const late = buildBlock(store, 2);
    for (const built of [early, late]) store.importBlock(built);
    const dataOf = (slot: number) => {
      const { block } = slot === 1 ? early : late;
      return { ...store.voteData(slot), head: { root: blockRoot(block), slot } };
    };
    for (const slot of order) store.addAggregate(aggregateOf(dataOf(slot), everyone));
    store.acceptPending();
    expect(store.headBlock.slot).toBe(2);
  }
});

test("a vote's target keeps to the safe target and to slots that may be justified", () => {
  const store = new Store(VALIDATORS);
  for (let slot = 1; slot <= 8; slot++) playSlot(store, slot, []);
  const at = (slot: number) => store.chainAfter(0).find((block) => block.slot === slot);
  const genesis = { root: store.genesis, slot: 0 };
  const target = (safe: string) =>
    chooseTarget(store.blocks, store.head, safe, { justified: genesis, finalized: genesis }).slot;
  expect(target(hex(at(8)?.root ?? store.genesis))).toBe(6); // 8 and 7 may not be justified
  expect(target(hex(store.genesis))).toBe(5); // three steps back
});

test("a block with another state root, and one without its parent, are not imported", () => {
  const store = playSlots(1, 3);
  const built = buildBlock(store, 4);
  const wrong = { ...built.block, stateRoot: new Uint8Array(32) };
  expect(() => store.importBlock({ ...built, block: wrong })).toThrow("state root");
  expect(new Store(VALIDATORS).importBlock(built)).toBe("orphan");
  expect(store.importBlock(built)).toBe("imported");
  expect(store.importBlock(built)).toBe("known");
});

test("a node that was away catches up from another's chain and agrees with it", () => {
  const [store, behind] = [playSlots(1, 12), playSlots(1, 3)];
  store.prune();
  for (const block of store.chainAfter(behind.finalized.slot)) behind.importBlock(block);
  expect(behind.head).toBe(store.head);
  expect(behind.finalized).toEqual(store.finalized);
});

test("what finality has passed is forgotten", () => {
  const store = playSlots(1, 3);
  const old = store.voteData(4);
  store.addVote(vote({ ...old, slot: 3 }, 7));
  for (let slot = 4; slot <= 10; slot++) playSlot(store, slot);
  store.prune();
  expect(store.raws.size).toBe(0);
  const final = store.finalized.slot;
  for (const { slot, proofs } of store.blocks.values())
    if (slot <= final) expect(proofs).toEqual([]);
});

test("a block takes what adds voters, at most eight attestation data", () => {
  const store = playSlots(1, 3);
  const data = store.voteData(4);
  store.importBlock(buildBlock(store, 4));
  for (let variant = 0; variant < 10; variant++)
    store.addAggregate(aggregateOf({ ...data, slot: 4 + variant }, [variant % 3]));
  store.addAggregate(aggregateOf(data, [0, 1]));
  store.acceptPending();
  const { attestations } = buildBlock(store, 5).block.body;
  expect(attestations.length).toBeLessThanOrEqual(8);
  const added = attestations.flatMap(({ participants }) => participants.getTrueBitIndexes());
  expect(attestations[0]?.participants.getTrueBitIndexes()).toEqual([0, 1]);
  expect(new Set(added)).toEqual(new Set([0, 1, 2]));
});

test("a block leaves to the next what counts only by what it finalizes itself", () => {
  const store = new Store(VALIDATORS);
  for (let slot = 1; slot <= 8; slot++) playSlot(store, slot, []);
  const at = (slot: number) => {
    const root = store.chainAfter(0).find((block) => block.slot === slot)?.root ?? store.genesis;
    return { root, slot };
  };
  const attest = (source: number, target: number) =>
    aggregateOf({ slot: 8, head: at(8), source: at(source), target: at(target) }, everyone);
  // Slot 1 is justified, and finalized by slot 2. After slot 1 slot 7 may be justified, after 0 it may not.
  for (const [source, target] of [
    [0, 1],
    [1, 2],
    [2, 7],
  ] as const)
    store.addAggregate(attest(source, target));
  store.acceptPending();
  const targets = ({ block }: ReturnType<typeof buildBlock>) =>
    block.body.attestations.map(({ data }) => data.target.slot);
  const first = buildBlock(store, 9);
  expect(targets(first)).toEqual([1, 2]);
  store.importBlock(first);
  expect(store.finalized.slot).toBe(1);
  expect(targets(buildBlock(store, 10))).toEqual([7]);
});

test("a snapshot has this slot's votes first, and at most one child a group", () => {
  const store = playSlots(1, 4);
  const [older, now] = [store.voteData(5), store.voteData(6)];
  for (const validator of [0, 1, 2, 3]) store.addVote(vote(older, validator));
  for (const validator of [0, 1]) store.addVote(vote(now, validator));
  store.addAggregate(aggregateOf(older, [4, 5]));
  store.addAggregate(aggregateOf(older, [4, 5, 6]));
  const groups = freezeVotes(store, 6);
  expect(groups.map(({ data, raws }) => [data.slot, raws.length])).toEqual([
    [6, 2],
    [5, 4],
  ]);
  expect(groups.map(({ children }) => children.length)).toEqual([0, 1]);
  expect(groups[1]?.children[0]?.participants.getTrueBitIndexes()).toEqual([4, 5, 6]);
  store.addVote(vote(now, 7));
  expect(groups[0]?.raws).toHaveLength(2); // frozen
});

test("a child that does not decide stays out: its seconds are for others", () => {
  const store = playSlots(1, 4);
  const data = store.voteData(5);
  for (const validator of [6, 7]) store.addVote(vote(data, validator));
  const childrenBeside = (voters: readonly number[]) => {
    store.addAggregate(aggregateOf(data, voters));
    return freezeVotes(store, 5)[0]?.children.length;
  };
  expect(childrenBeside([0, 1, 2])).toBe(0); // five with it
  expect(childrenBeside([0, 1, 2, 3])).toBe(1); // six with it
  expect(childrenBeside([0, 1, 2, 3, 4, 5])).toBe(0); // six without
});

test("a slot without a supermajority of votes holds finality up until the votes are back", () => {
  const store = playSlots(1, 10);
  const before = store.finalized.slot;
  for (let slot = 11; slot <= 14; slot++) playSlot(store, slot, [0, 1, 2, 3]);
  expect(store.finalized.slot - before).toBeLessThanOrEqual(2); // of votes cast before
  for (let slot = 15; slot <= 30; slot++) playSlot(store, slot, everyone);
  expect(store.finalized.slot).toBeGreaterThanOrEqual(25);
});
