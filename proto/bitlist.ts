/** Bitlists of validators: validator `i` is bit `i % 8`, lowest first, of byte `i / 8`. */

/** Whether bit `index` is set; false beyond the end of the list. */
export function hasBit(bits: Uint8Array, index: number): boolean {
  return (((bits[index >>> 3] ?? 0) >> (index & 7)) & 1) === 1;
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
