/**
 * Translates the messages between doors and lane hosts from and to `lean/fleet/v1/fleet.proto`.
 * Whatever is decoded is untrusted: it comes out whole and within the limits, its bytes copied, or
 * `FleetMessageError` names the field at fault. Nothing else is thrown.
 */
import type { FromHost, SentWork, ToDoor, ToHost, Verdict } from "./messages.js";
import type { ProverDescription } from "../work/prover-description.js";

export { FleetMessageError } from "./codec/fleet-message-error.js";

const missing = (): never => {
  throw new Error("is not there yet");
};

export const encodeFromHost: (message: FromHost) => Uint8Array = missing;
export const decodeFromHost: (bytes: Uint8Array) => FromHost = missing;
export const encodeToHost: (message: ToHost) => Uint8Array = missing;
export const decodeToHost: (bytes: Uint8Array) => ToHost = missing;
export const encodeToDoor: (message: ToDoor) => Uint8Array = missing;
export const decodeToDoor: (bytes: Uint8Array) => ToDoor = missing;
export const encodeVerdict: (verdict: Verdict) => Uint8Array = missing;
export const decodeVerdict: (bytes: Uint8Array) => Verdict = missing;
/** Encodes the answer to a fetch; no bytes: the blob is not here. */
export const encodeChunk: (bytes: Uint8Array) => Uint8Array = missing;
export const decodeChunk: (bytes: Uint8Array) => Uint8Array = missing;
export const encodeWork: (work: SentWork) => Uint8Array = missing;
/**
 * Decodes what is to be proved, by a prover of this description. Throws also when it is not the work
 * that `digest` names, so that no door can have another one adopt wrong work.
 */
export const decodeWork: (
  bytes: Uint8Array,
  digest: string,
  prover: ProverDescription,
) => SentWork = missing;
