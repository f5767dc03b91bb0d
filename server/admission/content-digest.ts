/**
 * A digest of what a request asks for, without its budgets: deadline, fence and the ends of steps. A
 * request that repeats a request id must have the digest of the first one. Keys, signatures and
 * proofs are hashed in place: encoding the request again would copy every signature four times, once
 * for each enclosing message.
 */
import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";
import { toBinary } from "@bufbuild/protobuf";
import type {
  Component,
  Group,
  RawSignature,
  Snapshot,
  SubmitSnapshotRequest,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { SubmitSnapshotRequestSchema } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

export interface Content {
  /** SHA-256, in hexadecimal. */
  digest: string;
  /** Number of bytes hashed: about the size of the encoded request. */
  bytes: number;
}

const NOTHING = new Uint8Array();

/** One item to hash: a number, such as a validator index, and bytes, such as a signature. */
type Entry = readonly [number, Uint8Array];

export function contentOf(request: SubmitSnapshotRequest): Content {
  const hash = createHash("sha256");
  const frame = toBinary(SubmitSnapshotRequestSchema, frameOf(request));
  let bytes = update(hash, [[0, frame]]);
  const { keys = [], groups = [] }: Partial<Snapshot> = request.snapshot ?? {};
  bytes += update(
    hash,
    keys.flatMap(({ validatorIndex, publicKey, role }): Entry[] => [
      [validatorIndex, publicKey],
      [role, NOTHING],
    ]),
  );
  for (const { rawSignatures, children, components } of groups) {
    bytes += update(hash, signatureEntries(rawSignatures));
    bytes += update(
      hash,
      children.flatMap(({ participants, proof }): Entry[] => [
        [0, participants],
        [1, proof],
      ]),
    );
    for (const { claim, from } of components) {
      const participants: Entry = [0, claim?.participants ?? NOTHING];
      const inputs = from.case === "raws" ? signatureEntries(from.value.signatures) : [];
      if (from.case === "proof") inputs.push([1, from.value]);
      bytes += update(hash, [participants, ...inputs]);
    }
  }
  return { digest: hash.digest("hex"), bytes };
}

function signatureEntries(raws: readonly RawSignature[]): Entry[] {
  return raws.map(({ validatorIndex, signature }) => [validatorIndex, signature]);
}

/**
 * The request without its budgets, which differ with each try, and without keys, participants, raw
 * signatures and proofs.
 */
function frameOf(request: SubmitSnapshotRequest): SubmitSnapshotRequest {
  const { snapshot } = request;
  const steps = request.steps.map((step) => ({ ...step, untilMs: 0 }));
  const withoutBudgets = { ...request, deadlineMs: 0, fenceMs: 0, steps };
  if (snapshot === undefined) return withoutBudgets;
  const bare = (group: Group): Group => {
    const children = group.children.map((child) => {
      return { ...child, participants: NOTHING, proof: NOTHING };
    });
    return { ...group, rawSignatures: [], children, components: group.components.map(bareOf) };
  };
  const groups = snapshot.groups.map(bare);
  return { ...withoutBudgets, snapshot: { ...snapshot, keys: [], groups } };
}

/** The component with its message, and only the case of its inputs. */
function bareOf({ claim, from, ...component }: Component): Component {
  const bareClaim = claim === undefined ? {} : { claim: { ...claim, participants: NOTHING } };
  const inputs: Component["from"] =
    from.case === "raws"
      ? { case: "raws", value: { ...from.value, signatures: [] } }
      : from.case === "proof"
        ? { case: "proof", value: NOTHING }
        : from;
  return { ...component, ...bareClaim, from: inputs };
}

/**
 * Hashes a list: first the number of entries, with the number and the length of each, then all
 * bytes. So different lists never feed the hash the same bytes. Returns the number of bytes hashed.
 */
function update(hash: Hash, entries: readonly Entry[]): number {
  const lengths = new Uint32Array(1 + 2 * entries.length);
  lengths[0] = entries.length;
  entries.forEach(([number, { length }], at) => lengths.set([number, length], 1 + 2 * at));
  hash.update(lengths);
  for (const [, part] of entries) hash.update(part);
  return entries.reduce((sum, [, { length }]) => sum + length, lengths.byteLength);
}
