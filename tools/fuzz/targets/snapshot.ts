/** An encoded snapshot becomes groups that keep every promise of `decodeSnapshot`, or is refused. */
import type { Group } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { SnapshotSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../server/limits.js";
import { sha256 } from "../../../server/bytes.js";
import { inputsOf } from "../../../server/work/group.js";
import type { DecodedGroup, MergeWork } from "../../../server/work/group.js";
import { bitsToIndices, decodeSszBitlist, indicesToBits } from "../../../proto/bitlist.js";
import { decodeSnapshot } from "../../../server/admission/decode-snapshot.js";
import { protobufMutator } from "../engine/mutate-protobuf.js";
import type { FuzzTarget } from "../engine/target.js";
import { holds } from "../engine/target.js";
import { decodeRequest } from "../in-process.js";
import { checkRefusal } from "../refusals.js";
import { encoded, snapshots } from "../seeds.js";
import { foldOf } from "../../harness/decoded-group.js";

const sizes = {
  scheme: "s",
  revision: "r",
  publicKeyBytes: 32,
  signatureBytes: 64,
  proofBytesMax: 4096,
  childrenMax: 4,
  messagesMax: 3,
};
const few = {
  ...sizes,
  groupsMax: 3,
  groupsSentMax: 16,
  validatorsMax: 256,
  inputsMax: 512,
  participantsMax: 1024,
};

export const target: FuzzTarget = {
  name: "snapshot",
  bytesMax: 64 * 1024,
  msMax: 25,
  msPerKb: 2,
  seeds: () => snapshots.map((snapshot) => encoded(SnapshotSchema, snapshot)),
  mutate: protobufMutator(SnapshotSchema),
  open: () => ({ run }),
};

function run(input: Uint8Array): void {
  let decoded: DecodedGroup[];
  let groups: Group[];
  const keys = new Map<number, Uint8Array>();
  try {
    const snapshot = decodeRequest(SnapshotSchema, input);
    groups = snapshot.groups;
    decoded = decodeSnapshot(snapshot, { logInvRate: 0, priority: 2 }, few);
    if (snapshot.sszBitlists) groups = groups.map(withoutLengthBits);
    for (const { validatorIndex, publicKey } of snapshot.keys) keys.set(validatorIndex, publicKey);
  } catch (error) {
    return checkRefusal(error, ["invalid_argument", "resource_exhausted", "unimplemented"]);
  }
  holds(decoded.length === groups.length, "every group of the snapshot is there");
  groups.forEach((group, at) => checkGroup(group, decoded[at], at, keys, input));
}

function withoutLengthBits(group: Group): Group {
  const children = group.children.map((child) => {
    const participants = decodeSszBitlist(child.participants)?.bits;
    holds(participants !== undefined, "an SSZ bitlist without length bit is refused");
    return { ...child, participants };
  });
  return { ...group, children };
}

function checkVotes({ rawSignatures, children }: Group, { votes }: DecodedGroup): void {
  const inChildren = children.flatMap(({ participants }) => bitsToIndices(participants));
  const all = [...rawSignatures.map(({ validatorIndex }) => validatorIndex), ...inChildren];
  holds(votes === new Set(all).size, "each validator has one vote");
}

function checkGroup(
  group: Group,
  decoded: DecodedGroup | undefined,
  at: number,
  table: ReadonlyMap<number, Uint8Array>,
  input: Uint8Array,
): void {
  holds(decoded !== undefined, "no group is missing");
  if (decoded.work.kind === "merge") return checkMerge(group, decoded, decoded.work, at, input);
  const { raws, children, leftOut, message } = foldOf(decoded.work);
  holds(decoded.isOverLimit === at >= few.groupsMax, "groups over the limit are marked");
  holds(message.root.length === 32, "a message has 32 bytes");
  holds(message.slot >= 0 && message.slot <= 0xffff_ffff, "a leaf index is a u32");
  checkVotes(group, decoded);
  const { length } = raws.validators;
  if (decoded.isOverLimit) {
    holds(length + children.length + leftOut.length === 0, "a group over the limit has no inputs");
    return;
  }
  holds(raws.keys.length === length * sizes.publicKeyBytes, "one key for each raw signature");
  holds(raws.signatures.length === length * sizes.signatureBytes, "signatures are packed");
  holds(new Set(raws.validators).size === length, "one signature for each validator");
  const out = leftOut.filter(({ input: { kind } }) => kind === "raw").length;
  holds(length + out === group.rawSignatures.length, "a raw signature is kept or named");
  holds(
    children.length + leftOut.length - out === group.children.length,
    "a child is kept or named",
  );
  for (const { keys, validators, proof, index } of children) {
    holds(validators.length > 0 && proof.length <= sizes.proofBytesMax, "a child is in its limits");
    holds(
      keys.every((byte, i) => byte === table.get(validators[i >> 5] ?? -1)?.[i & 31]),
      "a child's keys are its participants'",
    );
    const bits = group.children[index]?.participants ?? new Uint8Array();
    const ascending = String([...validators].sort((a, b) => a - b));
    holds(String(bitsToIndices(bits)) === ascending, "participants are the bits");
    holds(String(bitsToIndices(indicesToBits(validators))) === ascending, "bits go round");
    holds(proof.buffer !== input.buffer, "a proof is copied");
  }
  for (const { digest, input: left } of leftOut) checkDigest(digest, left, group);
  holds(raws.keys.buffer !== input.buffer && raws.signatures.buffer !== input.buffer, "copied");
  holds(limits.validatorsMax >= few.validatorsMax, "the limits here are within the service's");
}

/** All components are in the work, or none, and the bad ones are named. */
function checkMerge(
  { components }: Group,
  { claims, claimVotes, votes, isOverLimit }: DecodedGroup,
  work: MergeWork,
  at: number,
  input: Uint8Array,
): void {
  holds(isOverLimit === at >= few.groupsMax, "merges over the limit are marked");
  holds(claims.length === components.length, "each component has its claim");
  holds(votes === claimVotes.reduce((sum, each) => sum + each, 0), "votes are the components'");
  const isWhole = !isOverLimit && work.leftOut.length === 0;
  const { length } = work.components;
  holds(length === (isWhole ? components.length : 0), "a merge is all or nothing");
  holds(length <= sizes.messagesMax, "a merge has no more messages than are offered");
  const messages = work.components.map(({ message: { root, slot } }) => `${slot} ${String(root)}`);
  holds(new Set(messages).size === messages.length, "no message is there twice");
  for (const { input: left } of work.leftOut) {
    const isNamed = left.kind === "component" && left.componentIndex < components.length;
    holds(isNamed, "what is left out of a merge is a component");
  }
  const { raws, children } = inputsOf(work);
  for (const { keys, validators } of [...raws, ...children]) {
    holds(validators.length > 0, "a component has a signer");
    holds(keys.length === validators.length * sizes.publicKeyBytes, "each signer has its key");
    holds(keys.buffer !== input.buffer, "keys are copied");
  }
  claims.forEach(({ participants }, nth) => {
    const count = bitsToIndices(participants).length;
    holds(count <= few.validatorsMax + 1, "a claim names no more validators than there are");
    if (isWhole) holds(count >= (claimVotes[nth] ?? 0), "a claim has every signer");
  });
}

type LeftOutInput = DecodedGroup["work"]["leftOut"][number]["input"];

function checkDigest(digest: Uint8Array, input: LeftOutInput, group: Group): void {
  if (input.kind === "component") return holds(false, "a fold has no components");
  const candidates =
    input.kind === "child"
      ? group.children.slice(input.childIndex, input.childIndex + 1).map(({ proof }) => proof)
      : group.rawSignatures
          .filter(({ validatorIndex }) => validatorIndex === input.validatorIndex)
          .map(({ signature }) => signature);
  const isOne = candidates.some((bytes) => Buffer.compare(sha256(bytes), digest) === 0);
  holds(isOne, "what is left out is named by its digest");
}
