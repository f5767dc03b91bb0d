/** The validators of a snapshot's children, checked and as bits alone, and the votes of a group. */
import type { Child, Group } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { bitsToIndices, decodeSszBitlist, hasBit } from "../../proto/bitlist.js";
import type { SszBitlist } from "../../proto/bitlist.js";
import { invalid } from "../errors.js";

const SSZ_EXPECTED = "expected an SSZ bitlist with its length bit, as ssz_bitlists says";

/**
 * The participants of each child of a group: the bits, and the list's length in validators. Throws a
 * `Refusal` when one is longer than `validatorsMax`, or is no SSZ bitlist where it has to be one.
 * @param field path of the group
 */
export function participantsOf(
  { children }: Group,
  field: string,
  { isSsz, validatorsMax }: { isSsz: boolean; validatorsMax: number },
): SszBitlist[] {
  const bytesMax = Math.ceil((validatorsMax + (isSsz ? 1 : 0)) / 8);
  return children.map(({ participants }: Child, at) => {
    const where = `${field}.children[${at}].participants`;
    if (participants.length > bytesMax) {
      throw invalid(where, `has ${participants.length} bytes, at most ${bytesMax}`);
    }
    if (!isSsz) return { bits: participants, length: participants.length * 8 };
    const list = decodeSszBitlist(participants);
    if (list === undefined) {
      const fault = participants.length === 0 ? "is empty" : "ends with a byte of 0";
      throw invalid(where, `${fault}, ${SSZ_EXPECTED}`);
    }
    if (list.length > validatorsMax) {
      throw invalid(where, `has length ${list.length}, at most ${validatorsMax}`);
    }
    return list;
  });
}

/** A bitlist that is the union of others, each of at most `validatorsMax` validators. */
export class Union {
  readonly bits: Uint8Array;

  constructor(validatorsMax: number) {
    this.bits = new Uint8Array(Math.ceil(validatorsMax / 8));
  }

  add(bits: Uint8Array): void {
    bits.forEach((byte, at) => (this.bits[at] = (this.bits[at] ?? 0) | byte));
  }
}

/** Number of validators with a raw signature in the group or in one of its children. */
export function countVotes(
  { rawSignatures }: Group,
  participants: readonly SszBitlist[],
  validatorsMax: number,
): number {
  const inChildren = new Union(validatorsMax);
  for (const { bits } of participants) inChildren.add(bits);
  const validators = rawSignatures.map(({ validatorIndex }) => validatorIndex);
  const alone = new Set(validators.filter((index) => !hasBit(inChildren.bits, index)));
  return alone.size + bitsToIndices(inChildren.bits).length;
}
