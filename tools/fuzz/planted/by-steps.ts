/** A mistake behind four bytes, each checked by itself: found only by keeping what gets further. */
import type { FuzzTarget } from "../engine/target.js";

export const target: FuzzTarget = {
  name: "by-steps",
  bytesMax: 8,
  msMax: 1000,
  msPerKb: 1000,
  seeds: () => [new Uint8Array(4)],
  open: () => ({ run }),
};

function run([a, b, c, d]: Uint8Array): void {
  if (a === 0x6c) {
    if (b === 0x65) {
      if (c === 0x61) {
        if (d === 0x6e) throw new Error("planted behind four bytes");
      }
    }
  }
}
