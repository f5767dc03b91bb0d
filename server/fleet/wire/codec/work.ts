/**
 * What is proved. A work is at most `snapshotBytesMax` long and fits the prover of its lane. Its
 * validators are the door's numbers: they must agree with the keys, which alone the digest names.
 */
import { limits } from "../../../limits.js";
import type { ChildWork, ComponentWork, FoldWork, MergeWork } from "../../../work/group.js";
import type { SentWork } from "../../../work/group.js";
import type { ProverDescription } from "../../../work/prover-description.js";
import { field, list, mapped, message, optional, packed } from "./fields.js";
import { garbled } from "./fleet-message-error.js";
import { bytes, u32 } from "./scalars.js";

const validators = (number: number) => packed(number, u32(), limits.validatorsMax);
const anyBytes = bytes(0, limits.snapshotBytesMax);
const root = bytes(32, 32);

const child = message<Omit<ChildWork, "index">>({
  validators: validators(1),
  keys: field(2, anyBytes),
  proof: field(3, bytes(1, limits.proofBytesMax)),
});

const component = message({
  root: field(1, root),
  slot: field(2, u32()),
  validators: validators(3),
  keys: field(4, anyBytes),
  signatures: field(5, anyBytes),
  proof: field(6, bytes(0, limits.proofBytesMax)),
});
type Component = ReturnType<typeof component.absent>;

const wireWork = message({
  root: optional(1, root),
  slot: field(2, u32()),
  logInvRate: field(3, u32(0, limits.rateMax)),
  validators: validators(4),
  keys: field(5, anyBytes),
  signatures: field(6, anyBytes),
  children: list(7, child, limits.childrenMax),
  components: list(8, component, limits.mergeMessagesMax),
});
type WireWork = ReturnType<typeof wireWork.absent>;

export const sentWork = mapped(wireWork, readWork, (work): WireWork => {
  if (work.kind === "merge") {
    const { logInvRate, components } = work;
    return { ...NO_FOLD, logInvRate, components: components.map(wireComponent) };
  }
  const { message: signed, raws, children, logInvRate } = work;
  return { ...signed, logInvRate, ...raws, children, components: [] };
});

const NONE = new Uint8Array();
const NO_FOLD = {
  ...{ root: undefined, slot: 0, validators: [], keys: NONE, signatures: NONE },
  children: [],
} as const;

function readWork(wire: WireWork): SentWork {
  const { root: ofFold, slot, logInvRate, children, components, ...raws } = wire;
  if (components.length === 0) {
    if (ofFold === undefined) return garbled("has neither a message nor components");
    return {
      kind: "fold",
      message: { root: ofFold, slot },
      raws,
      children: children.map((each, index) => ({ index, ...each })),
      logInvRate,
    };
  }
  const { validators: members, keys, signatures } = raws;
  const counts = [slot, members.length, keys.length, signatures.length, children.length];
  if (ofFold !== undefined || counts.some((count) => count > 0)) {
    garbled("has components and inputs of a fold");
  }
  return { kind: "merge", components: components.map(readComponent), logInvRate };
}

function readComponent(wire: Component, index: number): ComponentWork {
  const { root: ofMessage, slot, validators: members, keys, signatures, proof } = wire;
  const signed = { root: ofMessage, slot };
  if (proof.length === 0) {
    return {
      message: signed,
      from: { kind: "raws", raws: { validators: members, keys, signatures } },
    };
  }
  if (signatures.length > 0) garbled("has a component of signatures and a proof");
  return {
    message: signed,
    from: { kind: "proof", child: { index, validators: members, keys, proof } },
  };
}

function wireComponent({ message: signed, from }: ComponentWork): Component {
  if (from.kind === "raws") return { ...signed, ...from.raws, proof: NONE };
  const { validators: members, keys, proof } = from.child;
  return { ...signed, validators: members, keys, signatures: NONE, proof };
}

/** Throws `FleetMessageError` unless the work fits the prover, and names each validator by one key. */
export function checkWork(work: SentWork, prover: ProverDescription): void {
  if (work.kind === "merge") checkMerge(work, prover);
  else checkFold(work, prover);
}

function checkFold(
  { raws, children }: Pick<FoldWork, "raws" | "children">,
  prover: ProverDescription,
): void {
  const { publicKeyBytes, signatureBytes } = prover;
  checkLength(raws.signatures, raws.validators.length * signatureBytes, "signatures");
  for (const each of children) checkProof(each, prover);
  checkKeys([raws, ...children], publicKeyBytes);
}

/** A validator may sign messages of a merge with two keys, one of each of its roles. */
function checkMerge(
  { components }: Pick<MergeWork, "components">,
  prover: ProverDescription,
): void {
  const { publicKeyBytes, signatureBytes, messagesMax } = prover;
  if (components.length > messagesMax) {
    garbled(`has ${components.length} messages, the prover merges ${messagesMax}`);
  }
  const messages = components.map(({ message: { root: of, slot } }) => `${slot} ${hexOf(of)}`);
  if (new Set(messages).size < messages.length) garbled("merges a message twice");
  let signatures = 0;
  for (const { from } of components) {
    if (from.kind === "proof") {
      checkProof(from.child, prover);
      checkKeys([from.child], publicKeyBytes);
      continue;
    }
    const { raws } = from;
    if (raws.validators.length === 0) garbled("has a component of nobody");
    checkLength(raws.signatures, raws.validators.length * signatureBytes, "signatures");
    checkKeys([raws], publicKeyBytes);
    signatures += raws.validators.length;
  }
  if (signatures > limits.inputsMax) garbled(`has ${signatures} signatures`);
}

function checkProof(
  { proof, validators: members }: Pick<ChildWork, "proof" | "validators">,
  { proofBytesMax }: ProverDescription,
): void {
  if (members.length === 0) garbled("has a child of nobody");
  if (proofBytesMax > 0 && proof.length > proofBytesMax) {
    garbled(`has a child of ${proof.length} bytes, the prover takes ${proofBytesMax}`);
  }
}

/** Throws unless the signers of one message have one key each, and each another one. */
function checkKeys(
  parts: readonly Pick<ChildWork, "validators" | "keys">[],
  keyBytes: number,
): void {
  const keyOf = new Map<number, Uint8Array>();
  for (const { validators: members, keys } of parts) {
    checkLength(keys, members.length * keyBytes, "keys");
    if (new Set(members).size < members.length) garbled("names a validator twice");
    members.forEach((validator, at) => {
      const key = keys.subarray(at * keyBytes, (at + 1) * keyBytes);
      const known = keyOf.get(validator);
      if (known === undefined) keyOf.set(validator, key);
      else if (Buffer.compare(known, key) !== 0) garbled(`has two keys of validator ${validator}`);
    });
  }
  if (keyOf.size > limits.validatorsMax) garbled(`names ${keyOf.size} validators`);
  const distinct = new Set(
    Array.from(keyOf.values(), (key) => Buffer.from(key).toString("latin1")),
  );
  if (distinct.size < keyOf.size) garbled("has two validators with one key");
}

function checkLength({ length }: Uint8Array, expected: number, what: string): void {
  if (length !== expected) garbled(`has ${length} bytes of ${what}, expected ${expected}`);
}

const hexOf = (of: Uint8Array) => Buffer.from(of).toString("hex");
