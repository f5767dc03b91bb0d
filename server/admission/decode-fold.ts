/**
 * Decodes the groups of a snapshot of folds. An invalid input (an unknown validator, a signature or key
 * of the wrong length, an oversized child, one of another proof system) is left out of its own group and named, so that one bad vote
 * never blocks a node. Children are sorted by proof, so that equal work of two nodes has one digest.
 */
import type { Child, Group } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { KeyRole } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { bitsToIndices, hasBit } from "../../proto/bitlist.js";
import type { SszBitlist } from "../../proto/bitlist.js";
import { sha256 } from "../bytes.js";
import { invalid } from "../errors.js";
import type { ChildWork, DecodedGroup, FoldWork, LeftOut, VotesLeftOut } from "../work/group.js";
import { inputDigest } from "../work/input-digest.js";
import { isOther } from "../work/prover-description.js";
import { attestationDataRoot, checkGivenMessage, copyData } from "./attestation-data.js";
import type { KeyTable } from "./key-table.js";
import { packProof, packRaws } from "./key-table.js";
import { participantsOf, Union } from "./participants.js";
import { longestOf } from "./snapshot-context.js";
import type { SnapshotContext } from "./snapshot-context.js";

export function decodeFolds(
  groups: readonly Group[],
  context: SnapshotContext,
): DecodedGroup<FoldWork>[] {
  const { isSsz, limits } = context;
  const participants = groups.map(({ children }, at) =>
    children.map((child, nth) => {
      const field = `snapshot.groups[${at}].children[${nth}].participants`;
      return participantsOf(child.participants, field, { ...limits, isSsz });
    }),
  );
  const sszLength = longestOf(participants.flat(), context);
  const seen = new Map<string, number>();
  return groups.map((group, at) => {
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
    const own = { root, field, participants: participants[at] ?? [] };
    return { ...decodeGroup(looked, { ...context, ...own }), isOverLimit, votes, sszLength };
  });
}

function checkedMessage(group: Group, field: string): Uint8Array {
  const root = attestationDataRoot(group.data, `${field}.data`);
  checkGivenMessage(group.message, root, `${field}.message`);
  return root;
}

/** Number of validators with a raw signature in the group or in one of its children. */
function countVotes(
  { rawSignatures }: Group,
  participants: readonly SszBitlist[],
  validatorsMax: number,
): number {
  const inChildren = new Union(validatorsMax);
  for (const { bits } of participants) inChildren.add(bits);
  const validators = rawSignatures.map(({ validatorIndex }) => validatorIndex);
  const alone = new Set(validators.filter((index) => !hasBit(inChildren.bits, index)));
  return alone.size + bitsToIndices(inChildren.bits).length;
}

interface GroupContext extends SnapshotContext {
  root: Uint8Array;
  field: string;
  /** Those of the group's children, by index. */
  participants: readonly SszBitlist[];
}

type Decoded = Omit<DecodedGroup<FoldWork>, "isOverLimit" | "votes" | "sszLength">;

function decodeGroup(group: Group, context: GroupContext): Decoded {
  const { root, keys, logInvRate, field, limits } = context;
  if (group.data === undefined) throw invalid(`${field}.data`, "is missing");
  const table = keys[KeyRole.ATTESTATION];
  const leftOut: LeftOut[] = [];
  const raws = packRaws(group.rawSignatures, table, limits, (reason, raw) => {
    const input = { kind: "raw", validatorIndex: raw.validatorIndex } as const;
    leftOut.push({ reason, input, digest: sha256(raw.signature) });
  });
  const union = () => new Union(limits.validatorsMax);
  const votesLeftOut = { unknown_key: union(), bad_child: union(), other_system: union() };
  const children = group.children
    .flatMap((child, at) => decodeChild(child, at, table, context, { leftOut, votesLeftOut }))
    .sort((a, b) => Buffer.compare(a.proof, b.proof));
  const message = { root, slot: Number(group.data.slot) };
  const work = { kind: "fold" as const, message, raws, children, leftOut, logInvRate };
  const { unknown_key, bad_child, other_system } = votesLeftOut;
  return {
    data: copyData(group.data),
    claims: [],
    claimVotes: [],
    work,
    digest: inputDigest(work, limits),
    votesLeftOut: {
      unknown_key: unknown_key.bits,
      bad_child: bad_child.bits,
      other_system: other_system.bits,
    },
  };
}

function decodeChild(
  { proof, proofSystem }: Child,
  index: number,
  table: KeyTable,
  { limits, participants }: GroupContext,
  out: { leftOut: LeftOut[]; votesLeftOut: Record<keyof VotesLeftOut, Union> },
): ChildWork[] {
  const { bits } = participants[index] ?? { bits: new Uint8Array() };
  const child = isOther(proofSystem, limits)
    ? "other_system"
    : index >= limits.childrenMax
      ? "bad_child"
      : packProof({ proof, bits, index }, table, limits);
  if (typeof child !== "string") return [child];
  const input = { kind: "child", childIndex: index } as const;
  out.leftOut.push({ reason: child, input, digest: sha256(proof) });
  out.votesLeftOut[child].add(bits);
  return [];
}
