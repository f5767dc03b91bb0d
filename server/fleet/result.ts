/**
 * Translates the result of an attempt: a lane host names inputs by their position in the work, the
 * door derives from its own work which validators the proof attests. Pure.
 */
import type { GroupWork, ProofResult } from "../work/group.js";
import type { Blob, RemoteResult } from "./messages.js";

/**
 * The result as a lane host sends it.
 *
 * @param proof names the result's proof; unused when nothing was proved
 */
export const remoteResult: (
  result: ProofResult,
  work: Pick<GroupWork, "raws" | "children">,
  nameProof: (proof: Uint8Array) => Blob,
) => RemoteResult = () => {
  throw new Error("is not there yet");
};

/**
 * The result as the dispatcher takes it. Throws `FleetMessageError` when no proof of this work could
 * end so. It does not verify the proof.
 *
 * @param proof the proof that the result names; empty when nothing was proved
 * @returns of a proof also the keys that it has to attest, in ascending order of their validators
 */
export const resultFrom: (
  remote: RemoteResult,
  work: Pick<GroupWork, "raws" | "children">,
  proof: Uint8Array,
) => { readonly result: ProofResult; readonly keys: Uint8Array } = () => {
  throw new Error("is not there yet");
};
