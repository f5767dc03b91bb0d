/** From a scenario's snapshot to what admission is given, its groups as if they had been decoded. */
import type { DecodedGroup } from "../../../server/work/group.js";
import type { Envelope } from "../../../server/work/submission.js";
import { decodedGroup } from "../../harness/decoded-group.js";
import { proofOf, SIGNATURE_BYTES } from "../../sim/sim-prover.js";
import { keysOf } from "../policies/reported-prover.js";
import type { GroupSpec } from "./group-spec.js";
import type { SnapshotSpec } from "./scenario.js";

export function toEnvelope(snapshot: SnapshotSpec, requestId: string): Envelope {
  const { atMs, node, slot, priority, mayShed, deadlineMs, fenceMs, steps } = snapshot;
  const { shouldReplace = false, minInputs = 1 } = snapshot;
  return {
    nodeId: node,
    nodeEpoch: 1n,
    principal: { name: "sim", quota: {} },
    requestId,
    contentDigest: requestId,
    slot: BigInt(slot),
    priority,
    shouldReplace,
    mayShed,
    receivedAtMs: atMs,
    deadlineAtMs: atMs + deadlineMs,
    fenceAtMs: atMs + fenceMs,
    minInputs,
    steps,
    bytes: 1000,
    accepted: { deadlineMs, fenceMs, deadlineSource: 1 },
  };
}

export function toGroup({ root, slot, raws, children }: GroupSpec): DecodedGroup {
  const message = { root: new Uint8Array(Buffer.from(root, "hex")), slot };
  const signatures = new Uint8Array(raws.length * SIGNATURE_BYTES);
  const childWork = children.map((validators, index) => {
    const keys = keysOf(validators);
    return { index, validators, keys, proof: proofOf([{ ...message, keys }]) };
  });
  const work = {
    kind: "fold" as const,
    message,
    raws: { validators: raws, keys: keysOf(raws), signatures },
    children: childWork,
    leftOut: [],
    logInvRate: 0,
  };
  return decodedGroup(work);
}
