/**
 * Bitlists of validators: validator `i` is bit `i % 8`, lowest first, of byte `i / 8`. An SSZ bitlist
 * has one more bit after the last validator's, which marks the list's length.
 */

/** Bits without the length bit, and the number of validators that they may name. */
export interface SszBitlist {
  bits: Uint8Array;
  length: number;
}

/**
 * Takes the length bit, the highest one that is set, from an SSZ bitlist. Undefined for bytes without
 * a length bit, which are no SSZ bitlist: no bytes, or a last byte of 0.
 */
export function decodeSszBitlist(bytes: Uint8Array): SszBitlist | undefined {
  const last = bytes.at(-1) ?? 0;
  if (last === 0) return undefined;
  const lengthBit = 31 - Math.clz32(last);
  const bits = lengthBit === 0 ? bytes.slice(0, -1) : bytes.slice();
  if (lengthBit > 0) bits[bits.length - 1] = last & ~(1 << lengthBit);
  return { bits, length: (bytes.length - 1) * 8 + lengthBit };
}

/**
 * The SSZ bitlist of this length with exactly these bits set. Throws `RangeError` for an index that
 * is not below the length.
 */
export function encodeSszBitlist(indices: readonly number[], length: number): Uint8Array {
  const outside = indices.find((index) => index >= length);
  if (outside !== undefined) {
    throw new RangeError(`validator ${outside} is outside a bitlist of length ${length}`);
  }
  return indicesToBits([...indices, length]);
}

/**
 * The bitlist with exactly these bits set, as a snapshot asks for it.
 * @param sszLength the least length of an SSZ bitlist; undefined: bits alone
 */
export function encodeBitlist(
  indices: readonly number[],
  sszLength: number | undefined,
): Uint8Array {
  if (sszLength === undefined) return indicesToBits(indices);
  const length = indices.reduce((max, index) => Math.max(max, index + 1), sszLength);
  return encodeSszBitlist(indices, length);
}

/** Whether bit `index` is set; false beyond the end of the list. */
export function hasBit(bits: Uint8Array, index: number): boolean {
  return (((bits[index >>> 3] ?? 0) >> (index & 7)) & 1) === 1;
}

/** The number of set bits. */
export function countBits(bits: Uint8Array): number {
  let count = 0;
  for (const byte of bits) {
    for (let rest = byte; rest > 0; rest &= rest - 1) count++;
  }
  return count;
}

/** The indices of the set bits, ascending. */
export function bitsToIndices(bits: Uint8Array): number[] {
  const indices: number[] = [];
  bits.forEach((byte, at) => {
    for (let bit = 0; bit < 8; bit++) if ((byte >> bit) & 1) indices.push(at * 8 + bit);
  });
  return indices;
}

/** The shortest bitlist with exactly these bits set; empty for no indices. */
export function indicesToBits(indices: readonly number[]): Uint8Array {
  const highest = indices.reduce((max, index) => Math.max(max, index), -1);
  const bits = new Uint8Array(Math.ceil((highest + 1) / 8));
  for (const index of indices) {
    const at = index >> 3;
    bits[at] = (bits[at] ?? 0) | (1 << (index & 7));
  }
  return bits;
}
