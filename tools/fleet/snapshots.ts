/** Snapshots for a fleet's nodes: of the committed signatures, or made up for the fake prover. */
import type { SnapshotInit } from "../../client/index.js";
import { dataOf, groupsOfSlot, raws, snapshot } from "../harness/vectors.js";

const SIGNATURE_BYTES = 2536;
const KEY_BYTES = 52;
/** The slots whose signatures are committed. */
const VECTOR_SLOTS = [100, 101, 102, 103];

/** Groups of `votes` made-up votes, no two groups of any node or slot alike. */
export function madeUp(node: number, slot: number, groups: number, votes: number): SnapshotInit {
  const point = { root: new Uint8Array(32).fill(1), slot: BigInt(slot) };
  const indices = Array.from({ length: votes }, (_, index) => index);
  const keys = indices.map((validatorIndex) => ({
    validatorIndex,
    publicKey: key(validatorIndex),
  }));
  const group = (_: unknown, at: number) => {
    const head = { root: new Uint8Array(32), slot: BigInt(slot) };
    new DataView(head.root.buffer).setUint32(0, node);
    head.root[4] = at;
    const data = { slot: BigInt(slot), head, target: point, source: point };
    const signature = new Uint8Array(SIGNATURE_BYTES).fill(7);
    const rawSignatures = indices.map((validatorIndex) => ({ validatorIndex, signature }));
    return { data, rawSignatures };
  };
  return { head: point, justified: point, keys, groups: Array.from({ length: groups }, group) };
}

function key(validatorIndex: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(KEY_BYTES);
  new DataView(bytes.buffer).setUint32(0, validatorIndex, true);
  return bytes;
}

/** One group of `votes` committed votes, which the real prover takes; nodes get different ones. */
export function committed(node: number, slot: number, votes: number): SnapshotInit {
  const vectorSlot = VECTOR_SLOTS[slot % VECTOR_SLOTS.length] ?? 100;
  const [group = 0] = groupsOfSlot(vectorSlot);
  const from = (node * votes) % 16;
  const groups = [{ data: dataOf(group), rawSignatures: raws(group, from, from + votes) }];
  return snapshot(vectorSlot, groups);
}
