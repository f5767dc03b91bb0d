/** Reads the committed signature vectors. `test/vectors/generate.py` describes their files. */
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

// Tests run from the package's root, as sources or compiled.
const folder = join(process.cwd(), "test/vectors/xmss");
const manifest = JSON.parse(readFileSync(join(folder, "vectors.json"), "utf8")) as Manifest;
const signatures = readFileSync(join(folder, "signatures.bin"));
const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));
const point = ({ root, slot }: Point) => ({ root: bytes(root), slot: BigInt(slot) });

function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new Error(`vectors have no entry ${index}`);
  return item;
}

export const validatorCount = 64;
export const groupsOfSlot = (slot: number) =>
  manifest.groups.flatMap((group, index) => (group.data.slot === slot ? [index] : []));
export const rootOf = (group: number) => bytes(at(manifest.groups, group).root);
export const publicKey = (validator: number) => bytes(at(manifest.validators, validator).publicKey);
export const keyTable = (count = validatorCount) =>
  manifest.validators
    .slice(0, count)
    .map(({ index, publicKey: key }) => ({ validatorIndex: index, publicKey: bytes(key) }));

export function dataOf(group: number) {
  const { data } = at(manifest.groups, group);
  return {
    slot: BigInt(data.slot),
    head: point(data.head),
    target: point(data.target),
    source: point(data.source),
  };
}

export function raw(group: number, validator: number) {
  const { validators, signaturesOffset } = at(manifest.groups, group);
  const position = validators.indexOf(validator);
  if (position < 0) throw new Error(`validator ${validator} did not sign group ${group}`);
  const start = signaturesOffset + position * manifest.signatureBytes;
  return {
    validatorIndex: validator,
    signature: new Uint8Array(signatures.subarray(start, start + manifest.signatureBytes)),
  };
}

/** Raw signatures of group `group` by validators `from` up to but not including `to`. */
export const raws = (group: number, from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => raw(group, from + i));

/** A copy of the signature with one bit flipped, so that it is invalid. */
export function tampered(signature: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(signature);
  copy[100] = (copy[100] ?? 0) ^ 1;
  return copy;
}

/** A raw signature that was made with another leaf than its slot, so that it is invalid. */
export function wrongLeafRaw() {
  const { validator, signaturesOffset: start } = manifest.wrongLeaf;
  return {
    validatorIndex: validator,
    signature: new Uint8Array(signatures.subarray(start, start + manifest.signatureBytes)),
  };
}

/** A bit list of the validators, as in `Child.participants`. */
export function bits(validators: readonly number[]): Uint8Array {
  const out = new Uint8Array(Math.ceil((Math.max(...validators) + 1) / 8));
  for (const v of validators) out[v >> 3] = (out[v >> 3] ?? 0) | (1 << (v & 7));
  return out;
}

/** Child proofs: 0 and 1 over group 0 (validators 0-15, 16-31), 2 over group 4, 3 over group 8. */
export function child(index: number) {
  const { file, validators } = at(manifest.children, index);
  return {
    participants: bits(validators),
    proof: new Uint8Array(readFileSync(join(folder, file))),
  };
}

export function snapshot(
  slot: number,
  groups: GroupInit[],
  keys: KeyInit[] = keyTable(),
): SnapshotInit {
  const head = { root: new Uint8Array(32).fill(1), slot: BigInt(slot) };
  return { slot: BigInt(slot), head, justified: head, keys, groups };
}
