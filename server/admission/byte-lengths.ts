/**
 * Finds the fault of a whole node, not of one vote: when no key, no signature or no child proof of a
 * snapshot has a length that the prover can take, the node encodes them wrongly or has another
 * scheme. Left out one by one, they would end every group as rejected, for ever, without the reason.
 */
import type {
  Group,
  RawSignature,
  Snapshot,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { sha256 } from "../bytes.js";
import { invalid } from "../errors.js";
import type { ProofSystemName } from "../work/prover-description.js";
import { isOther } from "../work/prover-description.js";

/** The lengths in bytes that the prover of a proof system takes. */
export interface ByteLengths extends ProofSystemName {
  publicKeyBytes: number;
  signatureBytes: number;
  proofBytesMax: number;
  /** See `ProverDescription`: every length but 0 is taken. Default: those above. */
  anySize?: boolean;
}

/**
 * What the prover gets for a public key or signature: the bytes, or their SHA-256 with `anySize`.
 * Undefined for a length that the prover cannot take.
 */
export function packable(
  bytes: Uint8Array,
  expected: number,
  { anySize = false }: Pick<ByteLengths, "anySize">,
): Uint8Array | undefined {
  if (anySize) return bytes.length === 0 ? undefined : sha256(bytes);
  return bytes.length === expected ? bytes : undefined;
}

/**
 * Throws a `Refusal` when all public keys or all signatures of a snapshot have a wrong length.
 * It names the first of them, both lengths and, where it shows, the cause.
 */
export function checkByteLengths({ keys, groups }: Snapshot, lengths: ByteLengths): void {
  const { publicKeyBytes, signatureBytes, anySize = false } = lengths;
  const isPossible = (bytes: Uint8Array, expected: number) =>
    anySize ? bytes.length > 0 : bytes.length === expected;
  if (keys[0] !== undefined && !keys.some((key) => isPossible(key.publicKey, publicKeyBytes))) {
    const all = `${keys.length} public keys`;
    const { publicKey } = keys[0];
    throw invalid("snapshot.keys[0].public_key", allWrong(publicKey, publicKeyBytes, all, lengths));
  }
  const lists = groups.flatMap(signaturesOf);
  const list = lists.find(({ signatures }) => signatures.length > 0);
  const first = list?.signatures[0];
  if (
    list !== undefined &&
    first !== undefined &&
    !lists.some(({ signatures }) => signatures.some((raw) => isPossible(raw, signatureBytes)))
  ) {
    const all = `${lists.reduce((sum, { signatures }) => sum + signatures.length, 0)} signatures`;
    throw invalid(`${list.field}[0].signature`, allWrong(first, signatureBytes, all, lengths));
  }
}

/**
 * Throws a `Refusal` when all proofs of a snapshot without signatures are empty or too long. Those of
 * another proof system do not count.
 * Beside signatures they are left out one by one: a peer chooses the length of the proof that it
 * sends to a node, and must not get the node's own votes refused.
 */
export function checkProofs({ groups }: Snapshot, lengths: ByteLengths): void {
  if (groups.flatMap(signaturesOf).some(({ signatures }) => signatures.length > 0)) return;
  const { scheme, proofBytesMax } = lengths;
  const proofs = groups.flatMap(proofsOf).filter(({ system }) => !isOther(system, lengths));
  const [first] = proofs;
  const isPossible = ({ length }: Uint8Array) => length > 0 && length <= proofBytesMax;
  if (first !== undefined && !proofs.some(({ proof }) => isPossible(proof))) {
    const what = first.field.includes("children") ? "child proofs" : "proofs";
    throw invalid(
      first.field,
      `has ${first.proof.length} bytes, and none of the ${proofs.length} ${what} has ` +
        `the 1 to ${proofBytesMax} of ${scheme}`,
    );
  }
}

/** The signatures of each list of raw signatures in a group, and the path of the list. */
function signaturesOf({ rawSignatures, components }: Group, at: number) {
  const group = `snapshot.groups[${at}]`;
  const bytesOf = (raws: readonly RawSignature[]) => raws.map(({ signature }) => signature);
  return [
    { field: `${group}.raw_signatures`, signatures: bytesOf(rawSignatures) },
    ...components.flatMap(({ from }, nth) => {
      if (from.case !== "raws") return [];
      const field = `${group}.components[${nth}].raws.signatures`;
      return [{ field, signatures: bytesOf(from.value.signatures) }];
    }),
  ];
}

/** Each proof among the inputs of a group, its path, and the proof system that it is said to be of. */
function proofsOf({ children, components }: Group, at: number) {
  const group = `snapshot.groups[${at}]`;
  return [
    ...children.map(({ proof, proofSystem: system }, nth) => {
      return { field: `${group}.children[${nth}].proof`, proof, system };
    }),
    ...components.flatMap(({ from, proofSystem: system }, nth) =>
      from.case === "proof"
        ? [{ field: `${group}.components[${nth}].proof`, proof: from.value, system }]
        : [],
    ),
  ];
}

function allWrong(
  first: Uint8Array,
  expected: number,
  all: string,
  { scheme, anySize = false }: ByteLengths,
): string {
  if (anySize) return `is empty, and so is each of the ${all}`;
  const cause = encodingFault(first, expected) ?? "are they of another scheme?";
  return `has ${first.length} bytes, and none of the ${all} has the ${expected} of ${scheme}: ${cause}`;
}

/** Says that bytes do not have the length `expected` and, where it shows, how they came about. */
export function wrongLength(bytes: Uint8Array, expected: number): string {
  const cause = encodingFault(bytes, expected);
  return `has ${bytes.length} bytes, expected ${expected}${cause === undefined ? "" : `: ${cause}`}`;
}

/** What was sent instead of `expected` bytes; undefined when it does not show. */
function encodingFault(bytes: Uint8Array, expected: number): string | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // What is longer has no such cause, and is not converted.
  if (bytes.length > 2 * expected + 2) return undefined;
  const isHexOf = (text: string) =>
    /^(0x)?[0-9a-f]+$/i.test(text) && text.replace(/^0x/i, "").length === 2 * expected;
  const text = buffer.toString("latin1");
  if (isHexOf(text)) return "this is hex as text: send the bytes themselves";
  if (/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) {
    const isBase64 = Buffer.from(text, "base64").length === expected;
    if (isBase64) return "this is base64 as text: send the bytes themselves";
  }
  // The last digit of base64 may stand for fewer bits than the hex digit that was typed.
  const typed = buffer.toString("base64").replace(/.=*$/, "0");
  if (!isHexOf(typed)) return undefined;
  return "this is hex that was read as base64; JSON takes base64, and files also hex after 0x";
}
