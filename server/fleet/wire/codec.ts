/**
 * Translates the messages between doors and lane hosts from and to `lean/fleet/v1/fleet.proto`.
 * What is decoded is untrusted: it comes out whole, within the limits and with its bytes copied, or
 * `FleetMessageError` names the field at fault. Nothing else is thrown.
 */
import { limits } from "../../limits.js";
import { inputDigest } from "../../work/input-digest.js";
import type { ProverDescription } from "../../work/prover-description.js";
import { decode, encode } from "./codec/fields.js";
import { garbled } from "./codec/fleet-message-error.js";
import { fromHost } from "./codec/from-host.js";
import { chunk, toDoor } from "./codec/to-door.js";
import { toHost, verdict } from "./codec/to-host.js";
import { checkWork, sentWork } from "./codec/work.js";
import type { SentWork } from "../../work/group.js";
import type { FromHost, ToDoor, ToHost, Verdict } from "./messages.js";

export { FleetMessageError, UnknownKindError } from "./codec/fleet-message-error.js";

const { fleetMessageBytesMax, fleetReportBytesMax, snapshotBytesMax } = limits;

export function encodeFromHost(message: FromHost): Uint8Array {
  return encode(fromHost, message);
}

export function decodeFromHost(bytes: Uint8Array): FromHost {
  return decode(fromHost, bytes, fleetReportBytesMax);
}

export function encodeToHost(message: ToHost): Uint8Array {
  return encode(toHost, message);
}

export function decodeToHost(bytes: Uint8Array): ToHost {
  return decode(toHost, bytes, fleetMessageBytesMax);
}

export function encodeToDoor(message: ToDoor): Uint8Array {
  return encode(toDoor, message);
}

export function decodeToDoor(bytes: Uint8Array): ToDoor {
  return decode(toDoor, bytes, fleetMessageBytesMax);
}

export function encodeVerdict(value: Verdict): Uint8Array {
  return encode(verdict, value);
}

export function decodeVerdict(bytes: Uint8Array): Verdict {
  return decode(verdict, bytes, fleetReportBytesMax);
}

/** Encodes the answer to a fetch; no bytes: the blob is not here. */
export function encodeChunk(bytes: Uint8Array): Uint8Array {
  return encode(chunk, { bytes });
}

/** Returns the bytes of the answer to a fetch; none: the sender has no such blob. */
export function decodeChunk(bytes: Uint8Array): Uint8Array {
  return decode(chunk, bytes, fleetMessageBytesMax).bytes;
}

export function encodeWork(work: SentWork): Uint8Array {
  return encode(sentWork, work);
}

/**
 * Decodes what is to be proved by a prover of this description. The index of a child is its position.
 * Throws also when `digest` names other work, or work of another proof system: otherwise a door could
 * have another one adopt what it made up.
 */
export function decodeWork(bytes: Uint8Array, digest: string, prover: ProverDescription): SentWork {
  const work = decode(sentWork, bytes, snapshotBytesMax);
  checkWork(work, prover);
  if (inputDigest(work, prover) !== digest) garbled("the work is another than its digest names");
  return work;
}
