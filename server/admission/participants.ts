/** The validators of a snapshot's proofs, checked and as bits alone. */
import { decodeSszBitlist } from "../../proto/bitlist.js";
import type { SszBitlist } from "../../proto/bitlist.js";
import { invalid } from "../errors.js";

const SSZ_EXPECTED = "expected an SSZ bitlist with its length bit, as ssz_bitlists says";

/**
 * The participants of a proof: the bits, and the list's length in validators. Throws a `Refusal`
 * when the list is longer than `validatorsMax`, or is no SSZ bitlist where it has to be one.
 * @param field path of the participants
 */
export function participantsOf(
  participants: Uint8Array,
  field: string,
  { isSsz, validatorsMax }: { isSsz: boolean; validatorsMax: number },
): SszBitlist {
  const bytesMax = Math.ceil((validatorsMax + (isSsz ? 1 : 0)) / 8);
  if (participants.length > bytesMax) {
    throw invalid(field, `has ${participants.length} bytes, at most ${bytesMax}`);
  }
  if (!isSsz) return { bits: participants, length: participants.length * 8 };
  const list = decodeSszBitlist(participants);
  if (list === undefined) {
    const fault = participants.length === 0 ? "is empty" : "ends with a byte of 0";
    throw invalid(field, `${fault}, ${SSZ_EXPECTED}`);
  }
  if (list.length > validatorsMax) {
    throw invalid(field, `has length ${list.length}, at most ${validatorsMax}`);
  }
  return list;
}

/** A bitlist that is the union of others, each of at most `validatorsMax` validators. */
export class Union {
  readonly bits: Uint8Array;

  constructor(validatorsMax: number) {
    this.bits = new Uint8Array(Math.ceil(validatorsMax / 8));
  }

  /** A plain loop: a request may have it run for thousands of children, whose bytes may all be 0. */
  add(bits: Uint8Array): void {
    for (let at = 0; at < bits.length; at++) {
      const byte = bits[at] ?? 0;
      if (byte !== 0) this.bits[at] = (this.bits[at] ?? 0) | byte;
    }
  }
}
