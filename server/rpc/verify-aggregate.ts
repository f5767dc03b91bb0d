/** `VerifyAggregate`: the claims of a request, checked and packed for the prover. */
import type {
  ClaimKeys,
  VerifyAggregateRequest,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { ProofKind } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { attestationDataRoot, checkGivenMessage } from "../admission/attestation-data.js";
import { packable, wrongLength } from "../admission/byte-lengths.js";
import { checkVerifyOffered } from "../admission/offered.js";
import { checkedRoot } from "../admission/signed-root.js";
import { concat } from "../bytes.js";
import { invalid } from "../errors.js";
import { limits } from "../limits.js";
import type { ClaimedProof, KeyClaim } from "../prover/prover.js";
import { foldedProof } from "../prover/prover.js";
import type { ProverDescription } from "../work/prover-description.js";
import { snapshotLimits } from "./call/request-limits.js";
import { checkRate } from "./submit-snapshot.js";

/**
 * The proof of the request and all that it has to attest. Throws a `Refusal` when the claims are
 * malformed, or the rate, the keys or the proof do not fit the prover.
 */
export function claimedProof(
  request: VerifyAggregateRequest,
  description: ProverDescription,
): ClaimedProof {
  checkVerifyOffered(request, description);
  checkRate(request.proofSystem, description);
  if (request.kind === ProofKind.MERGE) {
    const claims = claimsOf(request, description);
    return { kind: "merge", bytes: proofOf(request, description), claims };
  }
  const claim = claimOf(request, description);
  return foldedProof(claim, { proof: proofOf(request, description), keys: claim.keys });
}

/** The bytes of the proof, copied. */
function proofOf({ proof }: VerifyAggregateRequest, description: ProverDescription): Uint8Array {
  const { length } = proof;
  const { proofBytesMax } = snapshotLimits(description);
  if (length > proofBytesMax || length === 0) {
    throw invalid("proof", `has ${length} bytes, expected 1 to ${proofBytesMax}`);
  }
  return proof.slice();
}

/** The only claim of a fold. */
function claimOf(request: VerifyAggregateRequest, description: ProverDescription): KeyClaim {
  if (request.claims.length > 0) throw invalid("claims", "is for MERGE, and kind is AGGREGATE");
  const root = attestationDataRoot(request.data, "data");
  checkGivenMessage(request.message, root, "message");
  const keys = packedKeys(request.publicKeys, "public_keys", description);
  return { root, slot: Number(request.data?.slot ?? 0n), keys };
}

/** The claims of a merge, in the proof's order. */
function claimsOf(
  { data, message, publicKeys, claims }: VerifyAggregateRequest,
  description: ProverDescription,
): KeyClaim[] {
  const ofFold = [
    ["data", data !== undefined],
    ["message", message.length > 0],
    ["public_keys", publicKeys.length > 0],
  ] as const;
  const given = ofFold.find(([, isGiven]) => isGiven);
  if (given !== undefined) {
    throw invalid(given[0], "is for AGGREGATE; a MERGE has its messages in claims");
  }
  const { messagesMax } = description;
  if (claims.length === 0 || claims.length > messagesMax) {
    throw invalid("claims", `has ${claims.length} entries, expected 1 to ${messagesMax}`);
  }
  const seen = new Map<string, number>();
  return claims.map((claim, at) => {
    const field = `claims[${at}]`;
    const signed = messageOf(claim, field);
    const name = `${signed.slot} ${Buffer.from(signed.root).toString("hex")}`;
    const earlier = seen.get(name);
    if (earlier !== undefined) throw invalid(field, `has the message of claims[${earlier}] too`);
    seen.set(name, at);
    return { ...signed, keys: packedKeys(claim.publicKeys, `${field}.public_keys`, description) };
  });
}

function messageOf({ signed }: ClaimKeys, field: string): Omit<KeyClaim, "keys"> {
  if (signed.case === undefined) throw invalid(field, "has neither data nor root");
  if (signed.case === "root") return checkedRoot(signed.value, `${field}.root`);
  const root = attestationDataRoot(signed.value, `${field}.data`);
  return { root, slot: Number(signed.value.slot) };
}

/** The keys of one claim, packed. Throws a `Refusal` when one does not fit the prover. */
function packedKeys(
  publicKeys: readonly Uint8Array[],
  field: string,
  description: ProverDescription,
): Uint8Array {
  const { publicKeyBytes, anySize = false } = description;
  const { validatorsMax } = limits;
  if (publicKeys.length === 0) throw invalid(field, "is empty");
  if (publicKeys.length > validatorsMax) {
    throw invalid(field, `has ${publicKeys.length} entries, at most ${validatorsMax}`);
  }
  const packed = publicKeys.map((key, at) => {
    const own = packable(key, publicKeyBytes, description);
    if (own !== undefined) return own;
    throw invalid(`${field}[${at}]`, anySize ? "is empty" : wrongLength(key, publicKeyBytes));
  });
  return concat(packed);
}
