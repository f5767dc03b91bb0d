/**
 * Decodes the snapshot of a request into groups of work. A request with an invalid structure is
 * refused with the field's name; one with excessive counts, before anything is hashed. An invalid
 * input is left out and named: see `decode-fold.ts` and `decode-merge.ts`. But a snapshot is
 * refused when all keys, all signatures, or all proofs that it has without signatures, have a wrong
 * length. Everything kept is copied: protobuf-es returns views that would keep the whole request in
 * memory.
 */
import type { Group, Snapshot } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { countBits } from "../../proto/bitlist.js";
import { ProofKind } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { invalid } from "../errors.js";
import type { DecodedGroup, GroupWork } from "../work/group.js";
import { checkpoint } from "./attestation-data.js";
import { checkByteLengths, checkProofs } from "./byte-lengths.js";
import { decodeFolds } from "./decode-fold.js";
import { decodeMerges } from "./decode-merge.js";
import { keyTables } from "./key-table.js";
import { checkSnapshotOffered } from "./offered.js";
import type { SnapshotAsk } from "./snapshot-context.js";
import type { SnapshotLimits } from "./snapshot-limits.js";

export function decodeSnapshot(
  snapshot: Snapshot | undefined,
  ask: SnapshotAsk,
  limits: SnapshotLimits,
): DecodedGroup[] {
  if (snapshot === undefined) throw invalid("snapshot", "is missing");
  checkSnapshotOffered(snapshot, limits);
  checkpoint(snapshot.head, "snapshot.head");
  checkpoint(snapshot.justified, "snapshot.justified");
  if (snapshot.groups.length === 0) throw invalid("snapshot.groups", "is empty: nothing to prove");
  checkCounts(snapshot.groups, limits);
  const kind = kindOf(snapshot.groups);
  checkByteLengths(snapshot, limits);
  const keys = keyTables(snapshot.keys, kind, limits);
  const { slot, sszBitlists: isSsz } = snapshot;
  const context = { ...ask, slot, keys, limits, isSsz };
  const decode = kind === "fold" ? decodeFolds : decodeMerges;
  const groups = decode(snapshot.groups, context);
  checkProofs(snapshot, limits);
  return groups;
}

/**
 * Throws a `Refusal` for excessive counts: every input that is left out costs a hash, and every
 * group costs hashes and an outcome.
 */
function checkCounts(groups: readonly Group[], limits: SnapshotLimits): void {
  const { groupsSentMax, inputsMax, messagesMax } = limits;
  if (groups.length > groupsSentMax) {
    throw invalid("snapshot.groups", `has ${groups.length} entries, at most ${groupsSentMax}`);
  }
  let inputs = 0;
  groups.forEach(({ rawSignatures, children, components }, at) => {
    const field = `snapshot.groups[${at}]`;
    if (components.length > messagesMax) {
      throw invalid(
        `${field}.components`,
        `has ${components.length} entries, at most ${messagesMax}`,
      );
    }
    checkSigners(rawSignatures.length, `${field}.raw_signatures`, limits);
    inputs += rawSignatures.length + children.length;
    components.forEach(({ from }, nth) => {
      if (from.case !== "raws") return void inputs++;
      const { length } = from.value.signatures;
      checkSigners(length, `${field}.components[${nth}].raws.signatures`, limits);
      inputs += length;
    });
  });
  checkParticipants(groups.slice(0, limits.groupsMax), limits);
  if (inputs > inputsMax) {
    const detail = `have ${inputs} raw signatures and proofs, at most ${inputsMax}`;
    throw invalid("snapshot.groups", detail);
  }
}

/** Throws a `Refusal` for more validators in children than are worth their keys, which each child copies. */
function checkParticipants(groups: readonly Group[], { participantsMax }: SnapshotLimits): void {
  let participants = 0;
  for (const { children } of groups) {
    for (const child of children) participants += countBits(child.participants);
  }
  if (participants <= participantsMax) return;
  const detail = `have children of ${participants} validators in all, at most ${participantsMax}`;
  throw invalid("snapshot.groups", detail);
}

function checkSigners(count: number, field: string, { validatorsMax }: SnapshotLimits): void {
  if (count <= validatorsMax) return;
  const detail = `has ${count} entries, at most one for each of ${validatorsMax} validators`;
  throw invalid(field, detail);
}

/** The kind of all groups. Throws a `Refusal` unless it is one, and the groups' fields fit it. */
function kindOf(groups: readonly Group[]): GroupWork["kind"] {
  const isMerge = groups[0]?.kind === ProofKind.MERGE;
  groups.forEach((group, at) => {
    const field = `snapshot.groups[${at}]`;
    if ((group.kind === ProofKind.MERGE) !== isMerge) {
      const [own, first] = isMerge ? ["AGGREGATE", "MERGE"] : ["MERGE", "AGGREGATE"];
      const detail = `is ${own}, but snapshot.groups[0] is ${first}: a snapshot is of one kind`;
      throw invalid(`${field}.kind`, detail);
    }
    const wrong = isMerge ? ofFold(group) : group.components.length > 0 && "components";
    if (wrong === undefined || wrong === false) return;
    const fault = isMerge
      ? "is for AGGREGATE; a MERGE has its messages in components"
      : "is for MERGE, and kind is AGGREGATE";
    throw invalid(`${field}.${wrong}`, fault);
  });
  return isMerge ? "merge" : "fold";
}

/** The first field of the group that only a fold has. */
function ofFold({ data, message, rawSignatures, children }: Group): string | undefined {
  if (data !== undefined) return "data";
  if (message.length > 0) return "message";
  if (rawSignatures.length > 0) return "raw_signatures";
  return children.length > 0 ? "children" : undefined;
}
