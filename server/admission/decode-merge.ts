/**
 * Decodes the groups of a snapshot of merges, in two steps: first the structure of every component,
 * which refuses the request and hashes nothing, then the inputs of the groups within the limit. A
 * merge is all or nothing: where one input cannot be verified, its component is named, and the work
 * has no components, since no proof of it starts.
 */
import { create } from "@bufbuild/protobuf";
import type {
  AttestationData,
  Claim,
  Component,
  Group,
  RawSignature,
  SignedRoot,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  ClaimSchema,
  KeyRole,
  Priority,
  SignedRootSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { bitsToIndices, encodeBitlist } from "../../proto/bitlist.js";
import type { SszBitlist } from "../../proto/bitlist.js";
import { sha256 } from "../bytes.js";
import { invalid } from "../errors.js";
import { limits } from "../limits.js";
import type { ComponentWork, DecodedGroup, LeftOut, MergeWork } from "../work/group.js";
import { noVotesLeftOut } from "../work/group.js";
import { inputDigest } from "../work/input-digest.js";
import { isOther } from "../work/prover-description.js";
import { attestationDataRoot, checkedData, copyData } from "./attestation-data.js";
import type { Role } from "./key-table.js";
import { packProof, packRaws, roleOf } from "./key-table.js";
import { participantsOf } from "./participants.js";
import { checkedRoot } from "./signed-root.js";
import { longestOf } from "./snapshot-context.js";
import type { SnapshotContext } from "./snapshot-context.js";

/** A component of which the structure is checked. */
interface Checked {
  /** Path of the component. */
  field: string;
  signed: { case: "data"; value: AttestationData } | { case: "root"; value: SignedRoot };
  role: Role;
  from:
    | { kind: "raws"; signatures: readonly RawSignature[] }
    | { kind: "proof"; proof: Uint8Array; list: SszBitlist; isOther: boolean };
  /** Number of its votes. */
  votes: number;
}

export function decodeMerges(
  groups: readonly Group[],
  context: SnapshotContext,
): DecodedGroup<MergeWork>[] {
  const checked = groups.map(({ components }, at) => {
    const field = `snapshot.groups[${at}].components`;
    if (components.length === 0) throw invalid(field, "is empty: a MERGE has 1 component or more");
    const own = components.map((component, nth) =>
      checkComponent(component, `${field}[${nth}]`, context),
    );
    checkKeys(own, field);
    return own;
  });
  const lists = checked.flat().flatMap(({ from }) => (from.kind === "proof" ? [from.list] : []));
  const sszLength = longestOf(lists, context);
  const seen = new Map<string, number>();
  return checked.map((components, at) => {
    const isOverLimit = at >= context.limits.groupsMax;
    const group = decodeGroup(components, { ...context, isOverLimit, sszLength });
    if (group.work.components.length === 0) return group;
    const earlier = seen.get(group.digest);
    if (earlier !== undefined) {
      const detail = `are those of snapshot.groups[${earlier}] too`;
      throw invalid(`snapshot.groups[${at}].components`, detail);
    }
    seen.set(group.digest, at);
    return group;
  });
}

function checkComponent(
  { claim, from, proofSystem }: Component,
  field: string,
  context: SnapshotContext,
): Checked {
  if (claim === undefined) throw invalid(`${field}.claim`, "is missing");
  const role = roleOf(claim.role, `${field}.claim.role`);
  const signed = checkSigned(claim, role, `${field}.claim`, context);
  const { participants } = claim;
  const where = `${field}.claim.participants`;
  if (from.case === undefined) throw invalid(field, "has neither proof nor raws");
  if (from.case === "proof") {
    const { isSsz, limits } = context;
    if (participants.length === 0) throw invalid(where, "is empty: a proof needs its participants");
    const list = participantsOf(participants, where, { ...limits, isSsz });
    const votes = bitsToIndices(list.bits).length;
    if (votes === 0) throw invalid(where, "names no validator");
    const proof = { proof: from.value, list, isOther: isOther(proofSystem, limits) };
    return { field, signed, role, from: { kind: "proof", ...proof }, votes };
  }
  if (proofSystem !== undefined) throw invalid(`${field}.proof_system`, "is for a proof");
  if (participants.length > 0) throw invalid(where, "is for a proof; raws name their validators");
  const { signatures } = from.value;
  if (signatures.length === 0) throw invalid(`${field}.raws.signatures`, "is empty");
  checkOnce(signatures, `${field}.raws.signatures`);
  return { field, signed, role, from: { kind: "raws", signatures }, votes: signatures.length };
}

/** Throws a `Refusal` when the proof would have more keys than any proof can. */
function checkKeys(components: readonly Checked[], field: string): void {
  const keys = components.reduce((sum, { votes }) => sum + votes, 0);
  if (keys <= limits.mergeKeysMax) return;
  throw invalid(field, `have ${keys} votes, at most ${limits.mergeKeysMax} in one proof`);
}

/** Throws a `Refusal` when a validator is there twice: nothing of a merge is left out. */
function checkOnce(signatures: readonly RawSignature[], field: string): void {
  const seen = new Set<number>();
  signatures.forEach(({ validatorIndex }, at) => {
    if (seen.has(validatorIndex)) {
      throw invalid(`${field}[${at}].validator_index`, `${validatorIndex} is there twice`);
    }
    seen.add(validatorIndex);
  });
}

function checkSigned(
  { signed }: Claim,
  role: Role,
  field: string,
  { priority, slot }: SnapshotContext,
): Checked["signed"] {
  if (signed.case === undefined) throw invalid(field, "has neither data nor root");
  if (signed.case === "data") {
    checkedData(signed.value, `${field}.data`);
    if (role === KeyRole.ATTESTATION) return signed;
    throw invalid(`${field}.role`, "is PROPOSAL, but attestation data is signed by ATTESTATION");
  }
  const { value } = signed;
  checkedRoot(value, `${field}.root`);
  const isProposer = role === KeyRole.PROPOSAL;
  if (isProposer && priority === Priority.PROPOSAL && value.slot !== slot) {
    const detail = `is ${value.slot}, but the snapshot's slot is ${slot}: priority PROPOSAL is for the present slot`;
    throw invalid(`${field}.root.slot`, detail);
  }
  return signed;
}

interface GroupContext extends SnapshotContext {
  isOverLimit: boolean;
  sszLength: number | undefined;
}

function decodeGroup(
  components: readonly Checked[],
  context: GroupContext,
): DecodedGroup<MergeWork> {
  const { isOverLimit, sszLength, logInvRate, keys, limits } = context;
  const leftOut: LeftOut[] = [];
  // The inputs of a group that will not be started are not decoded.
  const works = isOverLimit ? [] : decodeComponents(components, context, leftOut);
  const claims = components.map((component, at) => {
    const work = works[at];
    const validators = work === undefined ? namedIn(component, keys) : validatorsOf(work);
    return claimOf(component, validators, sszLength);
  });
  const claimVotes = components.map(({ votes }) => votes);
  const isWhole = leftOut.length === 0;
  const work = { kind: "merge" as const, components: isWhole ? works : [], leftOut, logInvRate };
  return {
    data: undefined,
    claims,
    claimVotes,
    work,
    isOverLimit,
    digest: inputDigest(work, limits),
    votes: claimVotes.reduce((sum, votes) => sum + votes, 0),
    votesLeftOut: noVotesLeftOut(),
    sszLength,
  };
}

/** One work for each component; of one with a bad input, what can be verified of it. */
function decodeComponents(
  components: readonly Checked[],
  { keys, limits }: GroupContext,
  leftOut: LeftOut[],
): ComponentWork[] {
  const seen = new Map<string, number>();
  // A component is named once, with its first bad input.
  const bad = new Set<number>();
  return components.map(({ field, signed, role, from }, index) => {
    const message = messageOf(signed, field);
    const name = `${message.slot} ${Buffer.from(message.root).toString("hex")}`;
    const earlier = seen.get(name);
    if (earlier !== undefined) {
      throw invalid(`${field}.claim.${signed.case}`, `is the message of component ${earlier} too`);
    }
    seen.set(name, index);
    const refuse = (reason: LeftOut["reason"], bytes: Uint8Array) => {
      if (bad.has(index)) return;
      bad.add(index);
      const input = { kind: "component", componentIndex: index } as const;
      leftOut.push({ reason, input, digest: sha256(bytes) });
    };
    if (from.kind === "raws") {
      const raws = packRaws(from.signatures, keys[role], limits, (reason, { signature }) =>
        refuse(reason, signature),
      );
      return { message, from: { kind: "raws", raws } };
    }
    const { proof, list } = from;
    const child = from.isOther
      ? "other_system"
      : packProof({ proof, bits: list.bits, index }, keys[role], limits);
    if (typeof child !== "string") return { message, from: { kind: "proof", child } };
    refuse(child, proof);
    const nothing = new Uint8Array();
    const validators = bitsToIndices(list.bits);
    const empty = { index, validators, keys: nothing, proof: nothing };
    return { message, from: { kind: "proof", child: empty } };
  });
}

function messageOf(signed: Checked["signed"], field: string) {
  if (signed.case === "root") return checkedRoot(signed.value, `${field}.claim.root`);
  const root = attestationDataRoot(signed.value, `${field}.claim.data`);
  return { root, slot: Number(signed.value.slot) };
}

/** The validators of a component whose inputs are not decoded: those with a key. */
function namedIn({ from, role }: Checked, keys: SnapshotContext["keys"]): readonly number[] {
  if (from.kind === "proof") return bitsToIndices(from.list.bits);
  const named = from.signatures.map(({ validatorIndex }) => validatorIndex);
  return named.filter((validator) => keys[role].has(validator));
}

function validatorsOf({ from }: ComponentWork): readonly number[] {
  return from.kind === "raws" ? from.raws.validators : from.child.validators;
}

function claimOf(
  { signed, role }: Checked,
  validators: readonly number[],
  sszLength: number | undefined,
): Claim {
  const participants = encodeBitlist(validators, sszLength);
  const copied =
    signed.case === "data"
      ? { case: signed.case, value: copyData(signed.value) }
      : {
          case: signed.case,
          value: create(SignedRootSchema, {
            root: signed.value.root.slice(),
            slot: signed.value.slot,
          }),
        };
  return create(ClaimSchema, { signed: copied, role, participants });
}
