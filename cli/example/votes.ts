/**
 * The votes that the package carries: real signatures of the shipped prover's scheme, and child proofs.
 * `test/vectors/generate.py` describes their files.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  GroupSchema,
  SnapshotSchema,
  ValidatorKeySchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

interface Point {
  root: string;
  slot: number;
}
interface Manifest {
  signatureBytes: number;
  validators: { index: number; publicKey: string }[];
  groups: {
    data: { slot: number; head: Point; target: Point; source: Point };
    root: string;
    validators: number[];
    signaturesOffset: number;
  }[];
  children: { file: string; group: number; validators: number[] }[];
  wrongLeaf: { group: number; validator: number; signaturesOffset: number };
}

export type SnapshotInit = MessageInitShape<typeof SnapshotSchema>;
export type KeyInit = MessageInitShape<typeof ValidatorKeySchema>;
export type GroupInit = Exclude<MessageInitShape<typeof GroupSchema>, { $typeName: string }>;

/** The folder of the votes in the package. */
export const VOTES_FOLDER = "test/vectors/xmss";

export type CommittedVotes = ReturnType<typeof openVotes>;

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));
const point = ({ root, slot }: Point) => ({ root: bytes(root), slot: BigInt(slot) });

function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new Error(`vectors have no entry ${index}`);
  return item;
}

/**
 * Reads the votes of a folder. A group is one attestation data; groups and validators have numbers
 * from 0. Throws when a file is missing.
 */
export function openVotes(folder: string) {
  const manifest = JSON.parse(readFileSync(join(folder, "vectors.json"), "utf8")) as Manifest;
  const signatures = readFileSync(join(folder, "signatures.bin"));
  const rawAt = (validatorIndex: number, start: number) => ({
    validatorIndex,
    signature: new Uint8Array(signatures.subarray(start, start + manifest.signatureBytes)),
  });
  const raw = (group: number, validator: number) => {
    const { validators, signaturesOffset } = at(manifest.groups, group);
    const position = validators.indexOf(validator);
    if (position < 0) throw new Error(`validator ${validator} did not sign group ${group}`);
    return rawAt(validator, signaturesOffset + position * manifest.signatureBytes);
  };
  return {
    /** The groups whose attestation data is of this slot. */
    groupsOfSlot: (slot: number) =>
      manifest.groups.flatMap((group, index) => (group.data.slot === slot ? [index] : [])),
    /** The message that the validators of a group have signed. */
    rootOf: (group: number) => bytes(at(manifest.groups, group).root),
    publicKey: (validator: number) => bytes(at(manifest.validators, validator).publicKey),
    /** Indices and keys of the first `count` validators; default: of all. */
    keyTable: (count = manifest.validators.length) =>
      manifest.validators
        .slice(0, count)
        .map(({ index, publicKey: key }) => ({ validatorIndex: index, publicKey: bytes(key) })),
    dataOf: (group: number) => {
      const { slot, head, target, source } = at(manifest.groups, group).data;
      const points = { head: point(head), target: point(target), source: point(source) };
      return { slot: BigInt(slot), ...points };
    },
    raw,
    /** Raw signatures of a group by validators `from` up to but not including `to`. */
    raws: (group: number, from: number, to: number) =>
      Array.from({ length: to - from }, (_, i) => raw(group, from + i)),
    /** A raw signature that was made with another leaf than its slot, so that it is invalid. */
    wrongLeafRaw: () => rawAt(manifest.wrongLeaf.validator, manifest.wrongLeaf.signaturesOffset),
    /** Child proofs: 0 and 1 over group 0 (validators 0-15, 16-31), 2 over group 4, 3 over group 8. */
    child: (index: number) => {
      const { file, validators } = at(manifest.children, index);
      const proof = new Uint8Array(readFileSync(join(folder, file)));
      return { participants: bits(validators), proof };
    },
  };
}

/** A bit list of the validators, as in `Child.participants`. */
export function bits(validators: readonly number[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(Math.ceil((Math.max(...validators) + 1) / 8));
  for (const v of validators) out[v >> 3] = (out[v >> 3] ?? 0) | (1 << (v & 7));
  return out;
}

/** A copy of the signature with one bit flipped, so that it is invalid. */
export function tampered(signature: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(signature);
  copy[100] = (copy[100] ?? 0) ^ 1;
  return copy;
}

/** A snapshot of these groups, with a head of no meaning. */
export function snapshotOf(slot: number, groups: GroupInit[], keys: KeyInit[]) {
  const head = { root: new Uint8Array(32).fill(1), slot: BigInt(slot) };
  return { slot: BigInt(slot), head, justified: head, keys, groups } satisfies SnapshotInit;
}
