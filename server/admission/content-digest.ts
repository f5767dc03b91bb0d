/**
 * What two requests of one id must agree in: everything asked for, budgets apart. The bulk of a
 * snapshot is hashed where it lies: encoding the request anew would copy every signature four times,
 * once for each message around it, and leave as much to be collected.
 */
import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";
import { toBinary } from "@bufbuild/protobuf";
import type {
  Group,
  Snapshot,
  SubmitSnapshotRequest,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { SubmitSnapshotRequestSchema } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

export interface Content {
  /** SHA-256, in hexadecimal. */
  digest: string;
  /** How much the request holds, give or take its tags and lengths. */
  bytes: number;
}

/** Something of a list: a number, and the bytes that belong to it. */
type Entry = readonly [number, Uint8Array];

export function contentOf(request: SubmitSnapshotRequest): Content {
  const hash = createHash("sha256");
  const frame = toBinary(SubmitSnapshotRequestSchema, frameOf(request));
  let bytes = update(hash, [[0, frame]]);
  const { keys = [], groups = [] }: Partial<Snapshot> = request.snapshot ?? {};
  bytes += update(
    hash,
    keys.map(({ validatorIndex, publicKey }) => [validatorIndex, publicKey]),
  );
  for (const { rawSignatures, children } of groups) {
    bytes += update(
      hash,
      rawSignatures.map(({ validatorIndex, signature }) => [validatorIndex, signature]),
    );
    bytes += update(
      hash,
      children.flatMap(({ participants, proof }): Entry[] => [
        [0, participants],
        [1, proof],
      ]),
    );
  }
  return { digest: hash.digest("hex"), bytes };
}

/** The request without its budgets, and with every list of bulk empty. */
function frameOf(request: SubmitSnapshotRequest): SubmitSnapshotRequest {
  const { snapshot } = request;
  const withoutBudgets = { ...request, deadlineMs: 0, fenceMs: 0 };
  if (snapshot === undefined) return withoutBudgets;
  const bare = (group: Group): Group => ({ ...group, rawSignatures: [], children: [] });
  const groups = snapshot.groups.map(bare);
  return { ...withoutBudgets, snapshot: { ...snapshot, keys: [], groups } };
}

/**
 * A list's count, every number and every length first, so that no two lists give the same input.
 * Returns the bytes hashed.
 */
function update(hash: Hash, entries: readonly Entry[]): number {
  const lengths = new Uint32Array(1 + 2 * entries.length);
  lengths[0] = entries.length;
  entries.forEach(([number, { length }], at) => lengths.set([number, length], 1 + 2 * at));
  hash.update(lengths);
  for (const [, part] of entries) hash.update(part);
  return entries.reduce((sum, [, { length }]) => sum + length, lengths.byteLength);
}
