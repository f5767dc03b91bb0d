/**
 * Decodes the snapshot of a request into groups of work. A request with an invalid structure is
 * refused with the field's name; one with excessive counts, before anything is hashed. An invalid
 * input (an unknown validator, a signature or key of the wrong length, an oversized child) is left
 * out of its own group and named, so that one bad vote never blocks a node; but a snapshot is
 * refused when all keys, all signatures, or all children that it has without signatures, have a wrong
 * length. Everything kept is
 * copied: protobuf-es returns views that would keep the whole request in memory. Raw signatures are
 * sorted by public key and children by proof, so that equal work of two nodes has one digest.
 */
import type {
  AttestationData,
  Child,
  Group,
  Snapshot,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { bitsToIndices, hasBit } from "../../proto/bitlist.js";
import type { SszBitlist } from "../../proto/bitlist.js";
import { invalid } from "../errors.js";
import type { ChildWork, DecodedGroup, LeftOut, Raws } from "../work/group.js";
import { inputDigest } from "../work/input-digest.js";
import { concat, sha256 } from "../bytes.js";
import { checkByteLengths, checkChildProofs, packable, wrongLength } from "./byte-lengths.js";
import type { ByteLengths } from "./byte-lengths.js";
import { attestationDataRoot, checkpoint } from "./attestation-data.js";
import { countVotes, participantsOf, Union } from "./participants.js";

/** Limits and sizes that the backend and the configuration set. */
export interface SnapshotLimits extends ByteLengths {
  /** Groups beyond this number are accepted but not decoded; they end `not_started: limit`. */
  groupsMax: number;
  /** A snapshot with more groups is refused. */
  groupsSentMax: number;
  /** A snapshot with more keys, more raw signatures in a group or longer bitlists is refused. */
  validatorsMax: number;
  /** A snapshot with more raw signatures and children, all groups together, is refused. */
  inputsMax: number;
  /** Children of a group beyond this number are left out. */
  childrenMax: number;
}

export function decodeSnapshot(
  snapshot: Snapshot | undefined,
  logInvRate: number,
  limits: SnapshotLimits,
): DecodedGroup[] {
  if (snapshot === undefined) throw invalid("snapshot", "is missing");
  checkpoint(snapshot.head, "snapshot.head");
  checkpoint(snapshot.justified, "snapshot.justified");
  if (snapshot.groups.length === 0) throw invalid("snapshot.groups", "is empty: nothing to prove");
  checkCounts(snapshot.groups, limits);
  checkByteLengths(snapshot, limits);
  const keys = keyTable(snapshot, limits);
  const { sszBitlists: isSsz } = snapshot;
  const participants = snapshot.groups.map((group, at) =>
    participantsOf(group, `snapshot.groups[${at}]`, { ...limits, isSsz }),
  );
  const lengths = participants.flat().map(({ length }) => length);
  const sszLength = isSsz ? lengths.reduce((max, length) => Math.max(max, length), 0) : undefined;
  const seen = new Map<string, number>();
  const groups = snapshot.groups.map((group, at) => {
    const field = `snapshot.groups[${at}]`;
    const root = checkedMessage(group, field);
    const hex = Buffer.from(root).toString("hex");
    const earlier = seen.get(hex);
    if (earlier !== undefined) {
      throw invalid(`${field}.data`, `is the same attestation data as snapshot.groups[${earlier}]`);
    }
    seen.set(hex, at);
    const isOverLimit = at >= limits.groupsMax;
    const votes = countVotes(group, participants[at] ?? [], limits.validatorsMax);
    // The inputs of a group that will not be started are not decoded.
    const looked = isOverLimit ? { ...group, rawSignatures: [], children: [] } : group;
    const context = { root, keys, logInvRate, field, limits, participants: participants[at] ?? [] };
    return { ...decodeGroup(looked, context), isOverLimit, votes, sszLength };
  });
  checkChildProofs(snapshot, limits);
  return groups;
}

/**
 * Throws a `Refusal` for excessive counts: every input that is left out costs a hash, and every
 * group costs hashes and an outcome.
 */
function checkCounts(groups: readonly Group[], limits: SnapshotLimits): void {
  const { groupsSentMax, validatorsMax, inputsMax } = limits;
  if (groups.length > groupsSentMax) {
    throw invalid("snapshot.groups", `has ${groups.length} entries, at most ${groupsSentMax}`);
  }
  const tooLarge = groups.findIndex(({ rawSignatures }) => rawSignatures.length > validatorsMax);
  if (tooLarge !== -1) {
    const count = groups[tooLarge]?.rawSignatures.length ?? 0;
    const field = `snapshot.groups[${tooLarge}].raw_signatures`;
    throw invalid(
      field,
      `has ${count} entries, at most one for each of ${validatorsMax} validators`,
    );
  }
  const inputs = groups.reduce(
    (sum, { rawSignatures, children }) => sum + rawSignatures.length + children.length,
    0,
  );
  if (inputs > inputsMax) {
    const detail = `have ${inputs} raw signatures and children, at most ${inputsMax}`;
    throw invalid("snapshot.groups", detail);
  }
}

function checkedMessage(group: Group, field: string): Uint8Array {
  const root = attestationDataRoot(group.data, `${field}.data`);
  checkGivenMessage(group.message, root, `${field}.message`);
  return root;
}

/**
 * Throws a `Refusal` when `given`, the message that the caller sent, is not the computed root. An
 * empty message is accepted.
 */
export function checkGivenMessage(given: Uint8Array, root: Uint8Array, field: string): void {
  if (given.length === 0) return;
  if (given.length !== 32) throw invalid(field, wrongLength(given, 32));
  if (Buffer.compare(given, root) !== 0) {
    const expected = Buffer.from(root).toString("hex");
    throw invalid(field, `is not hash_tree_root(data), which is ${expected}`);
  }
}

interface Member {
  validator: number;
  key: Uint8Array;
}

/** The snapshot's public keys. Malformed keys are omitted; their validators count as unknown. */
interface KeyTable {
  byValidator: ReadonlyMap<number, Uint8Array>;
  /** Sorted by key, once: groups and children list their validators in this order. */
  inKeyOrder: readonly Member[];
}

function keyTable(snapshot: Snapshot, limits: SnapshotLimits): KeyTable {
  if (snapshot.keys.length > limits.validatorsMax) {
    throw invalid(
      "snapshot.keys",
      `has ${snapshot.keys.length} entries, at most ${limits.validatorsMax}`,
    );
  }
  const table = new Map<number, Uint8Array>();
  const owners = new Map<string, number>();
  snapshot.keys.forEach(({ validatorIndex, publicKey }, at) => {
    const field = `snapshot.keys[${at}]`;
    if (table.has(validatorIndex)) {
      throw invalid(`${field}.validator_index`, `${validatorIndex} is there twice`);
    }
    const text = Buffer.from(publicKey).toString("hex");
    const owner = owners.get(text);
    if (owner !== undefined)
      throw invalid(`${field}.public_key`, `is validator ${owner}'s key too`);
    owners.set(text, validatorIndex);
    table.set(validatorIndex, publicKey);
  });
  const members = [...table]
    .flatMap(([validator, given]) => {
      const key = packable(given, limits.publicKeyBytes, limits);
      return key === undefined ? [] : [{ validator, key }];
    })
    .sort((a, b) => Buffer.compare(a.key, b.key));
  const byValidator = new Map(members.map(({ validator, key }) => [validator, key]));
  return { byValidator, inKeyOrder: members };
}

interface GroupContext {
  root: Uint8Array;
  keys: KeyTable;
  logInvRate: number;
  field: string;
  limits: SnapshotLimits;
  /** Those of the group's children, by index. */
  participants: readonly SszBitlist[];
}

type Decoded = Omit<DecodedGroup, "isOverLimit" | "votes" | "sszLength">;

function decodeGroup(group: Group, context: GroupContext): Decoded {
  const { root, logInvRate, field, limits } = context;
  if (group.data === undefined) throw invalid(`${field}.data`, "is missing");
  const leftOut: LeftOut[] = [];
  const raws = decodeRaws(group, context, leftOut);
  const union = () => new Union(limits.validatorsMax);
  const votesLeftOut = { unknown_key: union(), bad_child: union() };
  const children = group.children
    .flatMap((child, at) => decodeChild(child, at, context, { leftOut, votesLeftOut }))
    .sort((a, b) => Buffer.compare(a.proof, b.proof));
  const message = { root, slot: Number(group.data.slot) };
  const data = copyData(group.data);
  const work = { kind: "fold" as const, message, raws, children, leftOut, logInvRate };
  const { unknown_key, bad_child } = votesLeftOut;
  return {
    data,
    claims: [],
    work,
    digest: inputDigest(work),
    votesLeftOut: { unknown_key: unknown_key.bits, bad_child: bad_child.bits },
  };
}

function decodeRaws(group: Group, context: GroupContext, leftOut: LeftOut[]): Raws {
  const { keys, limits } = context;
  const good = new Map<number, Uint8Array>();
  for (const { validatorIndex, signature } of group.rawSignatures) {
    const refuse = (reason: "unknown_key" | "bad_signature" | "covered") =>
      leftOut.push({ reason, input: { kind: "raw", validatorIndex }, digest: sha256(signature) });
    const packed = packable(signature, limits.signatureBytes, limits);
    if (!keys.byValidator.has(validatorIndex)) refuse("unknown_key");
    else if (packed === undefined) refuse("bad_signature");
    else if (good.has(validatorIndex)) refuse("covered");
    else good.set(validatorIndex, packed);
  }
  const signers = keys.inKeyOrder.filter(({ validator }) => good.has(validator));
  return {
    ...packed(signers),
    signatures: concat(signers.flatMap(({ validator }) => good.get(validator) ?? [])),
  };
}

function packed(members: readonly Member[]): { validators: number[]; keys: Uint8Array } {
  return {
    validators: members.map(({ validator }) => validator),
    keys: concat(members.map(({ key }) => key)),
  };
}

function decodeChild(
  child: Child,
  index: number,
  { keys, limits, participants }: GroupContext,
  out: { leftOut: LeftOut[]; votesLeftOut: Record<"unknown_key" | "bad_child", Union> },
): ChildWork[] {
  const { bits } = participants[index] ?? { bits: new Uint8Array() };
  const refuse = (reason: "bad_child" | "unknown_key") => {
    const input = { kind: "child", childIndex: index } as const;
    out.leftOut.push({ reason, input, digest: sha256(child.proof) });
    out.votesLeftOut[reason].add(bits);
    return [];
  };
  // Checked first, because the lookup of the participants takes a step for every validator.
  const isOverLimit = index >= limits.childrenMax;
  const { length: proofBytes } = child.proof;
  if (isOverLimit || proofBytes === 0 || proofBytes > limits.proofBytesMax) {
    return refuse("bad_child");
  }
  const members = keys.inKeyOrder.filter(({ validator }) => hasBit(bits, validator));
  if (members.length !== bitsToIndices(bits).length) return refuse("unknown_key");
  if (members.length === 0) return refuse("bad_child");
  return [{ index, ...packed(members), proof: child.proof.slice() }];
}

function copyData(data: AttestationData): AttestationData {
  const copy = (point: AttestationData["head"]) =>
    point === undefined ? {} : { ...point, root: point.root.slice() };
  const parts = { head: copy(data.head), target: copy(data.target), source: copy(data.source) };
  return { ...data, ...parts } as AttestationData;
}
