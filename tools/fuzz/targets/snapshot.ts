/** An encoded snapshot becomes groups that keep every promise of `decodeSnapshot`, or is refused. */
import type { Group } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { SnapshotSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../server/limits.js";
import { sha256 } from "../../../server/bytes.js";
import type { DecodedGroup } from "../../../server/work/group.js";
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
  publicKeyBytes: 32,
  signatureBytes: 64,
  proofBytesMax: 4096,
  childrenMax: 4,
  messagesMax: 0,
};
const few = { ...sizes, groupsMax: 3, groupsSentMax: 16, validatorsMax: 256, inputsMax: 512 };

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
    return checkRefusal(error, ["invalid_argument", "resource_exhausted"]);
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
