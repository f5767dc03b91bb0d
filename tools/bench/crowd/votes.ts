/** The snapshots of the crowd: real votes from the committed vectors, with a node's own numbers. */
import type { Outcome } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { bitsToIndices } from "../../../proto/bitlist.js";
import type { StreamNode } from "../../harness/wire/stream-node.js";
import { dataOf, keyTable, publicKey, raws, snapshot } from "../../harness/vectors.js";
import type { GroupInit, SnapshotInit } from "../../harness/vectors.js";

/** Indexes of the vectors' groups that all 64 validators signed. */
export const FULL = [0, 4, 8, 12] as const;
/** Indexes of the vectors' groups that validators 0 to 31 signed. */
export const HALF = [1, 5, 9, 13] as const;
const SLOT = 107;

/** Converts a validator's number in the vectors to its number at a node. */
export type Numbering = (validator: number) => number;
export const plain: Numbering = (validator) => validator;

/** A group of the vectors with the votes of validators `from` up to but not including `to`. */
export function votes(vector: number, from: number, to: number, number = plain): GroupInit {
  const rawSignatures = raws(vector, from, to).map(({ validatorIndex, signature }) => ({
    validatorIndex: number(validatorIndex),
    signature,
  }));
  return { data: dataOf(vector), rawSignatures };
}

export function snapshotOf(groups: GroupInit[], number = plain): SnapshotInit {
  const keys = keyTable().map(({ validatorIndex, publicKey: key }) => ({
    validatorIndex: number(validatorIndex),
    publicKey: key,
  }));
  return snapshot(SLOT, groups, keys);
}

/** True when the outcome names exactly these validators and its proof verifies for their keys. */
export async function covers(
  { client, node }: StreamNode,
  { data, proof, participants }: Outcome,
  validators: readonly number[],
  number = plain,
): Promise<boolean> {
  const named = validators.map(number).sort((a, b) => a - b);
  if (JSON.stringify(bitsToIndices(participants)) !== JSON.stringify(named)) return false;
  const publicKeys = validators.map(publicKey);
  const claim = { node, data: data ?? {}, proof, publicKeys };
  return (await client.verifyAggregate(claim)).valid;
}

export const range = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => from + at);
