/**
 * What is proved. A work is at most `snapshotBytesMax` long and fits the prover of its lane. Its
 * validators are the door's numbers: they must agree with the keys, which alone the digest names.
 */
import { limits } from "../../../limits.js";
import type { ChildWork, SentWork } from "../../../work/group.js";
import type { ProverDescription } from "../../../work/prover-description.js";
import { field, list, mapped, message, packed } from "./fields.js";
import { garbled } from "./fleet-message-error.js";
import { bytes, u32 } from "./scalars.js";

const validators = (number: number) => packed(number, u32(), limits.validatorsMax);
const anyBytes = bytes(0, limits.snapshotBytesMax);

const child = message<Omit<ChildWork, "index">>({
  validators: validators(1),
  keys: field(2, anyBytes),
  proof: field(3, bytes(1, limits.proofBytesMax)),
});

export const sentWork = mapped(
  message({
    root: field(1, bytes(32, 32)),
    slot: field(2, u32()),
    logInvRate: field(3, u32(0, limits.rateMax)),
    validators: validators(4),
    keys: field(5, anyBytes),
    signatures: field(6, anyBytes),
    children: list(7, child, limits.childrenMax),
  }),
  ({ root, slot, logInvRate, children, ...raws }): SentWork => ({
    kind: "fold",
    message: { root, slot },
    raws,
    children: children.map((each, index) => ({ index, ...each })),
    logInvRate,
  }),
  (work) => {
    if (work.kind === "merge") throw new Error("merges are not sent to lane hosts");
    const { message, raws, children, logInvRate } = work;
    return { ...message, logInvRate, ...raws, children };
  },
);

/** Throws `FleetMessageError` unless the work fits the prover, and names each validator by one key. */
export function checkWork(work: SentWork, prover: ProverDescription): void {
  if (work.kind === "merge") return garbled("is a merge");
  const { raws, children } = work;
  const { publicKeyBytes, signatureBytes, proofBytesMax, childrenMax } = prover;
  if (childrenMax > 0 && children.length > childrenMax) {
    garbled(`has ${children.length} children, the prover takes ${childrenMax}`);
  }
  checkLength(raws.signatures, raws.validators.length * signatureBytes, "signatures");
  for (const { proof, validators: members } of children) {
    if (members.length === 0) garbled("has a child of nobody");
    if (proofBytesMax > 0 && proof.length > proofBytesMax) {
      garbled(`has a child of ${proof.length} bytes, the prover takes ${proofBytesMax}`);
    }
  }
  const keyOf = new Map<number, Uint8Array>();
  for (const { validators: members, keys } of [raws, ...children]) {
    checkLength(keys, members.length * publicKeyBytes, "keys");
    if (new Set(members).size < members.length) garbled("names a validator twice");
    members.forEach((validator, at) => {
      const key = keys.subarray(at * publicKeyBytes, (at + 1) * publicKeyBytes);
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
