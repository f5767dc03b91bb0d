/** The merges of test/vectors, as the adapter takes them. test/vectors/README.md has the form. */
import type { ComponentInit, MergeInit } from "../../client/index.js";
import { KeyRole } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { AdapterPriority, AdapterSkipReason } from "../../client/index.js";
import { readVector } from "./machine-vectors.js";

interface CheckpointVector {
  root: string;
  slot: number;
}
type RoleVector = "attestation" | "proposal";
type SignedVector =
  | { data: { slot: number } & Record<"head" | "target" | "source", CheckpointVector> }
  | (CheckpointVector & { role?: RoleVector });
type SignersVector =
  | { signatures: { validatorIndex: number; signature: string }[] }
  | { proof: string; participants: string; proofSystem?: { scheme: string; revision?: string } };

interface MergeVector {
  head?: CheckpointVector;
  justified?: CheckpointVector;
  sszBitlists?: boolean;
  keys: { validatorIndex: number; publicKey: string; role?: RoleVector }[];
  components: (SignedVector & SignersVector)[];
}

/** A merge at a slot, and the bytes of its snapshot or why it is not submitted. */
export interface MergeCase {
  name: string;
  slot: number;
  priority: AdapterPriority;
  merge: MergeVector;
  snapshot?: string;
  skipped?: AdapterSkipReason;
  /** What the error of an invalid merge names. */
  names?: string;
}

/** The bytes of an outcome, and what the machine and the node get of it. */
export interface MergeOutcome {
  name: string;
  outcome: string;
  event: Record<string, unknown>;
  claims: { participants: string; root?: string; slot?: number; role?: RoleVector }[];
}

export function loadMerges(): { cases: MergeCase[]; outcomes: MergeOutcome[] } {
  const text = readVector("merges/merges.json");
  return JSON.parse(text) as { cases: MergeCase[]; outcomes: MergeOutcome[] };
}

export function mergeOf({ keys, components, ...rest }: MergeVector): MergeInit {
  const { head, justified, sszBitlists } = rest;
  return {
    ...(head && { head: checkpointOf(head) }),
    ...(justified && { justified: checkpointOf(justified) }),
    ...(sszBitlists !== undefined && { sszBitlists }),
    keys: keys.map(({ validatorIndex, publicKey, role }) => ({
      validatorIndex,
      publicKey: bytesOf(publicKey),
      ...(role && { role: roleOf(role) }),
    })),
    components: components.map(componentOf),
  };
}

function componentOf(component: SignedVector & SignersVector): ComponentInit {
  const signers =
    "proof" in component
      ? {
          proof: bytesOf(component.proof),
          participants: bytesOf(component.participants),
          ...(component.proofSystem && { proofSystem: component.proofSystem }),
        }
      : {
          signatures: component.signatures.map(({ validatorIndex, signature }) => ({
            validatorIndex,
            signature: bytesOf(signature),
          })),
        };
  if ("root" in component) {
    const { root, slot, role } = component;
    return { root: bytesOf(root), slot, ...(role && { role: roleOf(role) }), ...signers };
  }
  const { slot, head, target, source } = component.data;
  const data = {
    slot: BigInt(slot),
    head: checkpointOf(head),
    target: checkpointOf(target),
    source: checkpointOf(source),
  };
  return { data, ...signers };
}

function checkpointOf({ root, slot }: CheckpointVector) {
  return { root: bytesOf(root), slot: BigInt(slot) };
}

export function roleOf(role: RoleVector): KeyRole {
  return role === "proposal" ? KeyRole.PROPOSAL : KeyRole.ATTESTATION;
}

export function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, "hex"));
}
