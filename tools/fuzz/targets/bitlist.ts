/** Bits to indices and back: nothing is lost but trailing zero bytes, and of an SSZ bitlist nothing. */
import {
  bitsToIndices,
  decodeSszBitlist,
  encodeSszBitlist,
  indicesToBits,
} from "../../../proto/bitlist.js";
import type { FuzzTarget } from "../engine/target.js";
import { holds } from "../engine/target.js";

export const target: FuzzTarget = {
  name: "bitlist",
  bytesMax: 512,
  msMax: 10,
  msPerKb: 5,
  seeds: () => [
    new Uint8Array(),
    Uint8Array.of(1),
    Uint8Array.of(0, 128),
    new Uint8Array(512).fill(255),
  ],
  open: () => ({ run }),
};

function run(bits: Uint8Array): void {
  const indices = bitsToIndices(bits);
  const back = indicesToBits(indices);
  holds(back.at(-1) !== 0, "no byte follows the last bit");
  holds(Buffer.compare(back, bits.subarray(0, back.length)) === 0, "every bit is in its place");
  holds(
    bits.subarray(back.length).every((byte) => byte === 0),
    "only zeros are dropped",
  );
  holds(
    indices.every((index, at) => at === 0 || (indices[at - 1] ?? index) < index),
    "indices ascend",
  );

  const ssz = decodeSszBitlist(bits);
  holds((ssz === undefined) === ((bits.at(-1) ?? 0) === 0), "only a length bit is needed");
  if (ssz === undefined) return;
  const again = encodeSszBitlist(bitsToIndices(ssz.bits), ssz.length);
  holds(Buffer.compare(again, bits) === 0, "an SSZ bitlist goes round");
}
