/**
 * Translates the result of an attempt: a lane host names inputs by their position in the work, the
 * door derives from its own work what the proof attests. Pure.
 */
import type { KeyClaim } from "../../../native/addon.js";
import { assertNever } from "../../errors.js";
import { concat, sha256 } from "../../bytes.js";
import type {
  ChildWork,
  ComponentWork,
  FoldWork,
  GroupWork,
  LeftOut,
  MergeWork,
  ProofResult,
  Raws,
} from "../../work/group.js";
import { claimsOf } from "../../work/group.js";
import { countInputs } from "../../work/inputs.js";
import { FleetMessageError } from "./codec.js";
import type { Blob, LeftOutAt, RemoteResult } from "./messages.js";

type Inputs = Pick<FoldWork, "raws" | "children">;
type Fold = Pick<FoldWork, "kind" | "message"> & Inputs;
type Components = Pick<MergeWork, "kind" | "components">;

/** The result as the dispatcher takes it. */
export interface TakenResult {
  readonly result: ProofResult;
  /** What the result's proof has to attest; empty without a proof. */
  readonly claims: readonly KeyClaim[];
}

/**
 * The result as a lane host sends it.
 *
 * @param work what was proved
 * @param nameProof names the result's proof; not called when nothing was proved
 */
export function remoteResult(
  result: ProofResult,
  work: GroupWork,
  nameProof: (proof: Uint8Array) => Blob,
): RemoteResult {
  if (result.kind === "failed") return result;
  const positionOf = positionsIn(work);
  const leftOut = result.leftOut.map(({ reason, input, digest }): LeftOutAt => {
    const at = positionOf(input);
    if (at === undefined || reason === "unknown_key") {
      throw new Error(`a lane left out what is not in its work: ${reason}`);
    }
    return { reason, input: { kind: input.kind, at }, digest };
  });
  if (result.kind !== "proved") return { ...result, leftOut };
  const { proof, proveMs } = result;
  return { kind: "proved", proof: nameProof(proof), proveMs, leftOut };
}

/** Returns the function that finds an input's position in the work. */
function positionsIn(work: GroupWork): (input: LeftOut["input"]) => number | undefined {
  if (work.kind === "merge") {
    const count = work.components.length;
    return (input) =>
      input.kind === "component" && input.componentIndex < count ? input.componentIndex : undefined;
  }
  const raws = new Map(work.raws.validators.map((validator, at) => [validator, at]));
  const children = new Map(work.children.map(({ index }, at) => [index, at]));
  return (input) => {
    if (input.kind === "component") return undefined;
    return input.kind === "raw" ? raws.get(input.validatorIndex) : children.get(input.childIndex);
  };
}

/**
 * The result as the dispatcher takes it. Throws `FleetMessageError` when no attempt at this work could
 * end so. It does not verify the proof.
 *
 * @param proof the bytes of the proof that the result names; not used when nothing was proved
 * @returns of a fold's proof also the keys in ascending order of their validators
 */
export function resultFrom(
  remote: RemoteResult,
  work: Fold | Components,
  proof: Uint8Array,
): TakenResult {
  if (remote.kind === "failed") return { result: remote, claims: [] };
  return work.kind === "fold" ? foldResult(remote, work, proof) : mergeResult(remote, work, proof);
}

type NotFailed = Exclude<RemoteResult, { kind: "failed" }>;

function foldResult(remote: NotFailed, work: Fold, proof: Uint8Array): TakenResult {
  const claims: readonly KeyClaim[] = [];
  const leftOut = remote.leftOut.map((each) => leftOutOf(each, work));
  const kept = keptOf(remote.leftOut, work);
  switch (remote.kind) {
    case "proved": {
      if (!isProvable(kept)) refuse("nothing is left to prove");
      checkCovered(leftOut, kept);
      const { validators, keys: attested } = claimOf(kept, work);
      const childrenFolded = kept.children.map(({ index }) => index);
      const { kind, proveMs } = remote;
      const result = { kind, proof, validators, childrenFolded, leftOut, proveMs };
      return { result, claims: [{ ...work.message, keys: attested }] };
    }
    case "nothing_to_prove":
    case "rejected":
      if (isProvable(kept)) refuse(`${remote.kind}, but something is left to prove`);
      if (leftOut.some(({ reason }) => reason === "shed")) refuse(`${remote.kind}, but shed`);
      checkCovered(leftOut, kept);
      if (leftOut.some(isBad) !== (remote.kind === "rejected")) {
        refuse(`${remote.kind} does not fit what is left out`);
      }
      return { result: { kind: remote.kind, leftOut }, claims };
    case "too_few_inputs": {
      const inputs = countInputs(work, leftOut);
      if (!leftOut.every(isBad)) refuse("left out for another reason than being bad");
      if (inputs !== remote.inputs) refuse(`${inputs} inputs are left, not ${remote.inputs}`);
      return { result: { kind: remote.kind, inputs, leftOut }, claims };
    }
    case "not_started":
      if (!leftOut.every(isBad)) refuse("left out for another reason than being bad");
      return { result: { kind: remote.kind, reason: remote.reason, leftOut }, claims };
    default:
      return assertNever(remote);
  }
}

/** All or nothing: what is proved has every component, what is rejected names each bad one. */
function mergeResult(remote: NotFailed, work: Components, proof: Uint8Array): TakenResult {
  const { kind } = remote;
  const leftOut = remote.leftOut.map((each) => componentLeftOut(each, work));
  if (kind !== "rejected" && leftOut.length > 0) refuse(`${kind}, but a component is left out`);
  switch (kind) {
    case "proved": {
      const none = { validators: [], childrenFolded: [], leftOut };
      const result = { kind, proof, proveMs: remote.proveMs, ...none };
      return { result, claims: claimsOf(work) };
    }
    case "rejected":
      if (leftOut.length === 0) refuse("rejected, but no component is left out");
      return { result: { kind, leftOut }, claims: [] };
    case "not_started":
      return { result: { kind, reason: remote.reason, leftOut }, claims: [] };
    case "nothing_to_prove":
    case "too_few_inputs":
      return refuse(`a merge is not ${kind}`);
    default:
      return assertNever(kind);
  }
}

function componentLeftOut(
  { reason, input: { kind, at }, digest }: LeftOutAt,
  { components }: Components,
): LeftOut {
  if (kind !== "component") return refuse(`a merge has no ${kind} of its own`);
  const component = components[at] ?? refuse(`the work has no component ${at}`);
  const isOfProof = component.from.kind === "proof";
  if (isOfProof !== (reason === "bad_child")) refuse(`component ${at} is not ${reason}`);
  if (!itemsOf(component).some((bytes) => isDigestOf(bytes, digest))) refuse(OTHER_DIGEST);
  return { reason, input: { kind, componentIndex: at }, digest };
}

/** The signatures of a component, or its proof. */
function itemsOf({ from }: ComponentWork): Uint8Array[] {
  return from.kind === "proof" ? [from.child.proof] : signaturesOf(from.raws);
}

function signaturesOf({ validators, signatures }: Raws): Uint8Array[] {
  return validators.map((_, at) => itemAt(signatures, at, validators.length));
}

function refuse(detail: string): never {
  throw new FleetMessageError("ended.result", detail);
}

const isBad = ({ reason }: LeftOut) => reason !== "covered" && reason !== "shed";

/** The input in the door's numbering. Throws when it is not in the work, or has another digest. */
function leftOutOf({ reason, input: { kind, at }, digest }: LeftOutAt, work: Inputs): LeftOut {
  if (kind === "component") return refuse("a fold has no components");
  if (kind === "child") {
    const child = work.children[at] ?? refuse(`the work has no child ${at}`);
    checkDigest(child.proof, digest);
    return { reason, input: { kind, childIndex: child.index }, digest };
  }
  const { validators, signatures } = work.raws;
  const validatorIndex = validators[at] ?? refuse(`the work has no raw signature ${at}`);
  checkDigest(itemAt(signatures, at, validators.length), digest);
  return { reason, input: { kind, validatorIndex }, digest };
}

function checkDigest(bytes: Uint8Array, digest: Uint8Array): void {
  if (!isDigestOf(bytes, digest)) refuse(OTHER_DIGEST);
}

const OTHER_DIGEST = "names an input by another SHA-256";

/** The digest of a signature that is a SHA-256 already, because any size is taken, is itself. */
function isDigestOf(bytes: Uint8Array, digest: Uint8Array): boolean {
  const isSame = (other: Uint8Array) => Buffer.compare(other, digest) === 0;
  return isSame(bytes) || isSame(sha256(bytes));
}

/** The item at the position of `count` equal ones. */
function itemAt(packed: Uint8Array, at: number, count: number): Uint8Array {
  const size = packed.length / count;
  return packed.subarray(at * size, (at + 1) * size);
}

interface Kept {
  /** Positions. */
  readonly raws: readonly number[];
  readonly children: readonly ChildWork[];
}

function keptOf(leftOut: readonly LeftOutAt[], { raws, children }: Inputs): Kept {
  const out = {
    raw: new Set<number>(),
    child: new Set<number>(),
    component: new Set<number>(),
  };
  for (const { input } of leftOut) out[input.kind].add(input.at);
  return {
    raws: [...raws.validators.keys()].filter((at) => !out.raw.has(at)),
    children: children.filter((_, at) => !out.child.has(at)),
  };
}

/** A proof has a raw signature, or two children. */
const isProvable = ({ raws, children }: Kept) => raws.length > 0 || children.length >= 2;

/** Throws unless each raw signature that is called covered is of a validator of a kept child. */
function checkCovered(leftOut: readonly LeftOut[], { children }: Kept): void {
  const inChildren = new Set(children.flatMap(({ validators }) => validators));
  for (const { reason, input } of leftOut) {
    if (reason !== "covered" || input.kind !== "raw") continue;
    if (!inChildren.has(input.validatorIndex)) refuse("covered by no child");
  }
}

/** Each validator of the kept inputs once, ascending, and their keys. */
function claimOf({ raws, children }: Kept, work: Inputs) {
  const { validators, keys } = work.raws;
  const keyOf = new Map<number, Uint8Array>();
  for (const at of raws) {
    const validator = validators[at];
    if (validator !== undefined) keyOf.set(validator, itemAt(keys, at, validators.length));
  }
  for (const child of children) {
    const { length } = child.validators;
    child.validators.forEach((each, at) => keyOf.set(each, itemAt(child.keys, at, length)));
  }
  const ascending = [...keyOf].sort(([a], [b]) => a - b);
  return {
    validators: ascending.map(([validator]) => validator),
    keys: concat(ascending.map(([, key]) => key)),
  };
}
