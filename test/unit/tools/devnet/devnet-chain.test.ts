/** The devnet's chain: 3SF-mini's schedule, justification and finality, and the containers. */
import { expect, test } from "vitest";
import {
  blockRoot,
  BlocksSsz,
  hex,
  messageOf,
  participantsOf,
  type AttestationData,
} from "../../../../tools/devnet/chain/containers.js";
import {
  isJustifiableAfter,
  isSupermajority,
  nextJustifiableDelta,
} from "../../../../tools/devnet/chain/justification.js";
import { buildBlock } from "../../../../tools/devnet/chain/propose.js";
import {
  genesisBlock,
  genesisState,
  isCountable,
  processBlock,
  stateRoot,
  type State,
} from "../../../../tools/devnet/chain/state.js";
import { playSlots, VALIDATORS } from "./devnet-chain.js";

const filled = (byte: number) => new Uint8Array(32).fill(byte);

test("slots may be justified up to five on, then at squares and pronic numbers", () => {
  const allowed = Array.from({ length: 45 }, (_, slot) => slot).filter((slot) =>
    isJustifiableAfter(slot, 0),
  );
  expect(allowed).toEqual([0, 1, 2, 3, 4, 5, 6, 9, 12, 16, 20, 25, 30, 36, 42]);
  expect([0, 4, 6, 7, 16].map(nextJustifiableDelta)).toEqual([1, 5, 9, 9, 20]);
  expect(isJustifiableAfter(3, 4)).toBe(false);
  expect(isJustifiableAfter(107, 100)).toBe(false);
});

test("two thirds are enough, and one vote less is not", () => {
  expect(isSupermajority(6, 8)).toBe(true);
  expect(isSupermajority(5, 8)).toBe(false);
  expect(isSupermajority(2, 3)).toBe(true);
});

test("the signed message is the root that the specification has", () => {
  const data: AttestationData = {
    slot: 100,
    head: { root: filled(1), slot: 100 },
    target: { root: filled(2), slot: 99 },
    source: { root: filled(3), slot: 50 },
  };
  expect(hex(messageOf(data))).toBe(
    "49e635460ab6c255eae43c25e86f2d4be90a15dd353880fdccf07822e0b1ad0d",
  );
  expect(participantsOf([0, 2, 3]).uint8Array).toEqual(new Uint8Array([0x0d]));
  expect(participantsOf([3, 0, 2]).bitLen).toBe(4);
});

/** States of a chain with a block in each of these slots, the last one with the attestations. */
function chainOf(slots: readonly number[]) {
  const root = blockRoot(genesisBlock());
  let state = genesisState(VALIDATORS, root);
  const roots = new Map([[0, root]]);
  for (const slot of slots) {
    const parentRoot = roots.get(state.slot) ?? root;
    const block = {
      slot,
      proposerIndex: slot % VALIDATORS,
      parentRoot,
      body: { attestations: [] },
    };
    state = processBlock(state, block);
    roots.set(slot, blockRoot({ ...block, stateRoot: stateRoot(state) }));
  }
  const at = (slot: number) => ({ root: roots.get(slot) ?? filled(0), slot });
  const attest = (before: State, votes: readonly [number, number, readonly number[]][]): State =>
    processBlock(before, {
      slot: before.slot + 1,
      proposerIndex: (before.slot + 1) % VALIDATORS,
      parentRoot: roots.get(before.slot) ?? filled(0),
      body: {
        attestations: votes.map(([source, target, voters]) => ({
          participants: participantsOf(voters),
          data: { slot: target, head: at(target), source: at(source), target: at(target) },
        })),
      },
    });
  return { state, at, attest };
}

const SIX = [0, 1, 2, 3, 4, 5];

test("two thirds justify a target, and finalize its source if nothing lies between", () => {
  const { state, attest } = chainOf([1, 2]);
  const justified = attest(state, [[0, 1, SIX]]);
  expect(justified.latestJustified.slot).toBe(1);
  expect(justified.latestFinalized.slot).toBe(0);
  const both = attest(state, [
    [0, 1, SIX],
    [1, 2, SIX],
  ]);
  expect(both.latestJustified.slot).toBe(2);
  expect(both.latestFinalized.slot).toBe(1);
});

test("a source is not finalized while a slot between could have been justified", () => {
  const { state, attest } = chainOf([1, 2, 3]);
  const after = attest(state, [
    [0, 1, SIX],
    [1, 3, SIX],
  ]);
  expect(after.latestJustified.slot).toBe(3);
  expect(after.latestFinalized.slot).toBe(0);
});

test("votes for one target add up over blocks, each voter once", () => {
  const { state, attest } = chainOf([1]);
  const some = attest(state, [
    [0, 1, [0, 1, 2]],
    [0, 1, [2, 3, 4]],
  ]);
  expect(some.latestJustified.slot).toBe(0);
  expect(some.justifications.size).toBe(1);
  expect([...some.justifications.values()][0]?.size).toBe(5);
});

test("what does not fit the chain counts for nothing", () => {
  const { state, at, attest } = chainOf([1, 3, 10]);
  const counts = (source: number, target: number) =>
    isCountable(attest(state, []), { data: { ...dataOf(at(target)), source: at(source) } });
  expect(counts(0, 1)).toBe(true);
  expect(counts(1, 3)).toBe(false); // the source is not justified
  expect(counts(0, 2)).toBe(false); // there is no block
  expect(counts(0, 10)).toBe(false); // neither a square nor pronic
  expect(counts(0, 0)).toBe(false);
  const foreign = { root: filled(9), slot: 1 };
  const data = { ...dataOf(foreign), source: at(0) };
  expect(isCountable(attest(state, []), { data })).toBe(false);
});

const dataOf = (target: { root: Uint8Array; slot: number }) => ({
  slot: target.slot,
  head: target,
  target,
});

test("a proposer out of turn and a slot that does not advance are refused", () => {
  const state = genesisState(VALIDATORS, filled(1));
  const block = { slot: 3, proposerIndex: 4, parentRoot: filled(1), body: { attestations: [] } };
  expect(() => processBlock(state, block)).toThrow("may not propose");
  expect(() => processBlock(state, { ...block, slot: 0, proposerIndex: 0 })).toThrow("not after");
});

test("with every vote in time the chain is final three slots behind, and stays so", () => {
  const store = playSlots(1, 30);
  expect(store.headBlock.slot).toBe(30);
  expect(store.justified.slot).toBeGreaterThanOrEqual(28);
  expect(store.finalized.slot).toBeGreaterThanOrEqual(27);
});

test("blocks survive the wire with their proofs", () => {
  const store = playSlots(1, 4);
  const built = buildBlock(store, 5);
  const { block, proofs } = built;
  expect(proofs).toHaveLength(block.body.attestations.length);
  const [back] = BlocksSsz.deserialize(BlocksSsz.serialize([built]));
  expect(back && hex(blockRoot(back.block))).toBe(hex(blockRoot(block)));
  expect(back?.proofs).toEqual(proofs);
});
