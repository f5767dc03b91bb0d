/**
 * Refuses what the contract has and this service does not offer: merged proofs, and the proposal keys
 * that only those need. The refusal names the field, and what is offered instead.
 */
import type {
  SubmitSnapshotRequest,
  VerifyAggregateRequest,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { KeyRole, ProofKind } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { Refusal } from "../errors.js";

/** The kinds of proof that the service makes and verifies. */
export const offeredKinds: readonly ProofKind[] = [ProofKind.AGGREGATE];

/** Throws a `Refusal` when a group or a key asks for what the service does not offer. */
export function checkSnapshotOffered({ snapshot }: SubmitSnapshotRequest): void {
  snapshot?.groups.forEach(({ kind, components }, at) => {
    checkKind(kind, `snapshot.groups[${at}].kind`);
    if (components.length > 0) throw notOffered(`snapshot.groups[${at}].components`, "MERGE is");
  });
  snapshot?.keys.forEach(({ role }, at) => {
    if (role === KeyRole.UNSPECIFIED || role === KeyRole.ATTESTATION) return;
    const what = KeyRole[role] ?? String(role);
    throw notOffered(`snapshot.keys[${at}].role`, `${what} is for MERGE, which is`);
  });
}

/** Throws a `Refusal` when the proof or its claims are of a kind that the service does not offer. */
export function checkVerifyOffered({ kind, claims }: VerifyAggregateRequest): void {
  checkKind(kind, "kind");
  if (claims.length > 0) throw notOffered("claims", "MERGE is");
}

function checkKind(kind: ProofKind, field: string): void {
  if (kind === ProofKind.UNSPECIFIED || offeredKinds.includes(kind)) return;
  throw notOffered(field, `${ProofKind[kind] ?? String(kind)} is`);
}

function notOffered(field: string, what: string): Refusal {
  const kinds = offeredKinds.map((kind) => ProofKind[kind]).join(", ");
  return new Refusal("unimplemented", field, `${what} not offered; this service offers ${kinds}`);
}
