/**
 * The public keys of a snapshot, by role and validator, and the inputs that are packed with them: raw
 * signatures and proofs, in the order of their keys, so that equal work of two nodes has one digest.
 */
import type {
  RawSignature,
  ValidatorKey,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { KeyRole } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { bitsToIndices, hasBit } from "../../proto/bitlist.js";
import { concat } from "../bytes.js";
import { invalid } from "../errors.js";
import type { ChildWork, GroupWork, Raws } from "../work/group.js";
import { packable } from "./byte-lengths.js";
import type { SnapshotLimits } from "./snapshot-limits.js";

interface Member {
  validator: number;
  key: Uint8Array;
}

/** The public keys of one role. Malformed keys are omitted; their validators count as unknown. */
export interface KeyTable {
  has(validator: number): boolean;
  /** Sorted by key, once: all inputs list their validators in this order. */
  inKeyOrder: readonly Member[];
}

export type KeyTables = Readonly<Record<Role, KeyTable>>;

export type Role = KeyRole.ATTESTATION | KeyRole.PROPOSAL;

/** The role that the caller gave, or the default. Throws a `Refusal` for an unknown one. */
export function roleOf(role: KeyRole, field: string): Role {
  if (role === KeyRole.UNSPECIFIED) return KeyRole.ATTESTATION;
  if (role === KeyRole.ATTESTATION || role === KeyRole.PROPOSAL) return role;
  throw invalid(field, `is ${String(role)}, expected ATTESTATION or PROPOSAL`);
}

/**
 * The key tables of a snapshot. Throws a `Refusal` when there are too many keys, or a well-formed one
 * twice, or a proposal key in a snapshot of folds.
 */
export function keyTables(
  keys: readonly ValidatorKey[],
  kind: GroupWork["kind"],
  limits: SnapshotLimits,
): KeyTables {
  const { validatorsMax } = limits;
  const keysMax = kind === "fold" ? validatorsMax : 2 * validatorsMax;
  if (keys.length > keysMax) {
    throw invalid("snapshot.keys", `has ${keys.length} entries, at most ${keysMax}`);
  }
  const tables = {
    [KeyRole.ATTESTATION]: new Map<number, Uint8Array | undefined>(),
    [KeyRole.PROPOSAL]: new Map<number, Uint8Array | undefined>(),
  };
  const owners = new Map<string, number>();
  keys.forEach(({ validatorIndex, publicKey, role: given }, at) => {
    const field = `snapshot.keys[${at}]`;
    const role = roleOf(given, `${field}.role`);
    if (kind === "fold" && role === KeyRole.PROPOSAL) {
      throw invalid(`${field}.role`, "is PROPOSAL, which is for MERGE");
    }
    const table = tables[role];
    if (validatorIndex >= validatorsMax) {
      throw invalid(
        `${field}.validator_index`,
        `is ${validatorIndex}, expected 0 to ${validatorsMax - 1}`,
      );
    }
    if (table.has(validatorIndex)) {
      throw invalid(`${field}.validator_index`, `${validatorIndex} is there twice`);
    }
    const key = packable(publicKey, limits.publicKeyBytes, limits);
    table.set(validatorIndex, key);
    if (key === undefined) return;
    const text = Buffer.from(key).toString("hex");
    const owner = owners.get(text);
    if (owner !== undefined) {
      const where = owner === validatorIndex ? " in the other role" : "";
      throw invalid(`${field}.public_key`, `is validator ${owner}'s key${where} too`);
    }
    owners.set(text, validatorIndex);
  });
  return {
    [KeyRole.ATTESTATION]: tableOf(tables[KeyRole.ATTESTATION]),
    [KeyRole.PROPOSAL]: tableOf(tables[KeyRole.PROPOSAL]),
  };
}

/** @param keys by validator; undefined: malformed */
function tableOf(keys: ReadonlyMap<number, Uint8Array | undefined>): KeyTable {
  const inKeyOrder = [...keys]
    .flatMap(([validator, key]) => (key === undefined ? [] : [{ validator, key }]))
    .sort((a, b) => Buffer.compare(a.key, b.key));
  const known = new Set(inKeyOrder.map(({ validator }) => validator));
  return { has: (validator) => known.has(validator), inKeyOrder };
}

/**
 * The raw signatures that can be verified, packed. Calls `leaveOut` for each of the others; `covered`
 * is a second one of a validator.
 */
export function packRaws(
  signatures: readonly RawSignature[],
  table: KeyTable,
  limits: SnapshotLimits,
  leaveOut: (reason: "unknown_key" | "bad_signature" | "covered", raw: RawSignature) => void,
): Raws {
  const good = new Map<number, Uint8Array>();
  for (const raw of signatures) {
    const { validatorIndex, signature } = raw;
    const packedBytes = packable(signature, limits.signatureBytes, limits);
    if (!table.has(validatorIndex)) leaveOut("unknown_key", raw);
    else if (packedBytes === undefined) leaveOut("bad_signature", raw);
    else if (good.has(validatorIndex)) leaveOut("covered", raw);
    else good.set(validatorIndex, packedBytes);
  }
  const signers = table.inKeyOrder.filter(({ validator }) => good.has(validator));
  return {
    ...packed(signers),
    signatures: concat(signers.flatMap(({ validator }) => good.get(validator) ?? [])),
  };
}

/**
 * A proof with the keys of its participants, copied; or why it is left out.
 * @param bits its participants
 * @param index of the child in its group, or of the component
 */
export function packProof(
  { proof, bits, index }: { proof: Uint8Array; bits: Uint8Array; index: number },
  table: KeyTable,
  { proofBytesMax }: SnapshotLimits,
): ChildWork | "bad_child" | "unknown_key" {
  // Checked first, because the lookup of the participants takes a step for every validator.
  if (proof.length === 0 || proof.length > proofBytesMax) return "bad_child";
  const members = table.inKeyOrder.filter(({ validator }) => hasBit(bits, validator));
  if (members.length !== bitsToIndices(bits).length) return "unknown_key";
  if (members.length === 0) return "bad_child";
  return { index, ...packed(members), proof: proof.slice() };
}

function packed(members: readonly Member[]): { validators: number[]; keys: Uint8Array } {
  return {
    validators: members.map(({ validator }) => validator),
    keys: concat(members.map(({ key }) => key)),
  };
}
