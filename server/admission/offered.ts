/**
 * Refuses what the contract has and the provers that are up do not offer: merged proofs, and the
 * proposal keys that only those need. The refusal names the field, and what is offered instead.
 */
import type {
  Snapshot,
  VerifyAggregateRequest,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { KeyRole, ProofKind } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { Refusal } from "../errors.js";
import type { ProverDescription } from "../work/prover-description.js";

type Offering = Pick<ProverDescription, "messagesMax">;

/** The kinds of proof that the provers make and verify. */
export function offeredKinds({ messagesMax }: Offering): ProofKind[] {
  return messagesMax > 0 ? [ProofKind.AGGREGATE, ProofKind.MERGE] : [ProofKind.AGGREGATE];
}

/** Throws a `Refusal` when a group or a key asks for what the provers do not offer. */
export function checkSnapshotOffered({ groups, keys }: Snapshot, offering: Offering): void {
  const canMerge = offering.messagesMax > 0;
  groups.forEach(({ kind, components }, at) => {
    checkKind(kind, `snapshot.groups[${at}].kind`, offering);
    if (canMerge || components.length === 0) return;
    throw notOffered(`snapshot.groups[${at}].components`, "MERGE is", offering);
  });
  if (canMerge) return;
  keys.forEach(({ role }, at) => {
    if (role === KeyRole.UNSPECIFIED || role === KeyRole.ATTESTATION) return;
    const what = KeyRole[role] ?? String(role);
    throw notOffered(`snapshot.keys[${at}].role`, `${what} is for MERGE, which is`, offering);
  });
}

/** Throws a `Refusal` when the proof or its claims are of a kind that the provers do not offer. */
export function checkVerifyOffered(
  { kind, claims }: VerifyAggregateRequest,
  offering: Offering,
): void {
  checkKind(kind, "kind", offering);
  if (claims.length === 0 || offering.messagesMax > 0) return;
  throw notOffered("claims", "MERGE is", offering);
}

function checkKind(kind: ProofKind, field: string, offering: Offering): void {
  if (kind === ProofKind.UNSPECIFIED || offeredKinds(offering).includes(kind)) return;
  throw notOffered(field, `${ProofKind[kind] ?? String(kind)} is`, offering);
}

function notOffered(field: string, what: string, offering: Offering): Refusal {
  const kinds = offeredKinds(offering).map((kind) => ProofKind[kind]);
  const detail = `${what} not offered; this service offers ${kinds.join(", ")}`;
  return new Refusal("unimplemented", field, detail);
}
