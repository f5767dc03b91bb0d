/**
 * Translates the result of an attempt: a lane host names inputs by their position in the work, the
 * door derives from its own work which validators the proof attests. Pure.
 */
import { assertNever } from "../../errors.js";
import { concat, sha256 } from "../../bytes.js";
import type { ChildWork, FoldWork, LeftOut, ProofResult } from "../../work/group.js";
import { countInputs } from "../../work/inputs.js";
import { FleetMessageError } from "./codec.js";
import type { Blob, LeftOutAt, RemoteResult } from "./messages.js";

type Inputs = Pick<FoldWork, "raws" | "children">;

/**
 * The result as a lane host sends it.
 *
 * @param work what was proved
 * @param nameProof names the result's proof; not called when nothing was proved
 */
export function remoteResult(
  result: ProofResult,
  work: Inputs,
  nameProof: (proof: Uint8Array) => Blob,
): RemoteResult {
  if (result.kind === "failed") return result;
  const raws = new Map(work.raws.validators.map((validator, at) => [validator, at]));
  const children = new Map(work.children.map(({ index }, at) => [index, at]));
  const leftOut = result.leftOut.map(({ reason, input, digest }): LeftOutAt => {
    if (input.kind === "component") throw new Error("a fold has no components");
    const at =
      input.kind === "raw" ? raws.get(input.validatorIndex) : children.get(input.childIndex);
    if (at === undefined || reason === "unknown_key") {
      throw new Error(`a lane left out what is not in its work: ${reason}`);
    }
    return { reason, input: { kind: input.kind, at }, digest };
  });
  if (result.kind !== "proved") return { ...result, leftOut };
  const { proof, proveMs } = result;
  return { kind: "proved", proof: nameProof(proof), proveMs, leftOut };
}

/**
 * The result as the dispatcher takes it. Throws `FleetMessageError` when no attempt at this work could
 * end so. It does not verify the proof.
 *
 * @param proof the bytes of the proof that the result names; not used when nothing was proved
 * @returns of a proof also the keys that it has to attest, in ascending order of their validators
 */
export function resultFrom(
  remote: RemoteResult,
  work: Inputs,
  proof: Uint8Array,
): { readonly result: ProofResult; readonly keys: Uint8Array } {
  const keys = new Uint8Array();
  if (remote.kind === "failed") return { result: remote, keys };
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
      return { result, keys: attested };
    }
    case "nothing_to_prove":
    case "rejected":
      if (isProvable(kept)) refuse(`${remote.kind}, but something is left to prove`);
      if (leftOut.some(({ reason }) => reason === "shed")) refuse(`${remote.kind}, but shed`);
      checkCovered(leftOut, kept);
      if (leftOut.some(isBad) !== (remote.kind === "rejected")) {
        refuse(`${remote.kind} does not fit what is left out`);
      }
      return { result: { kind: remote.kind, leftOut }, keys };
    case "too_few_inputs": {
      const inputs = countInputs(work, leftOut);
      if (!leftOut.every(isBad)) refuse("left out for another reason than being bad");
      if (inputs !== remote.inputs) refuse(`${inputs} inputs are left, not ${remote.inputs}`);
      return { result: { kind: remote.kind, inputs, leftOut }, keys };
    }
    case "not_started":
      if (!leftOut.every(isBad)) refuse("left out for another reason than being bad");
      return { result: { kind: remote.kind, reason: remote.reason, leftOut }, keys };
    default:
      return assertNever(remote);
  }
}

function refuse(detail: string): never {
  throw new FleetMessageError("ended.result", detail);
}

const isBad = ({ reason }: LeftOut) => reason !== "covered" && reason !== "shed";

/** The input in the door's numbering. Throws when it is not in the work, or has another digest. */
function leftOutOf({ reason, input: { kind, at }, digest }: LeftOutAt, work: Inputs): LeftOut {
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

/** The digest of a signature that is a SHA-256 already, because any size is taken, is itself. */
function checkDigest(bytes: Uint8Array, digest: Uint8Array): void {
  const isSame = (other: Uint8Array) => Buffer.compare(other, digest) === 0;
  if (!isSame(bytes) && !isSame(sha256(bytes))) refuse("names an input by another SHA-256");
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
  const out = { raw: new Set<number>(), child: new Set<number>() };
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
