/** A loop without end, for an input that is easy to come by. */
import type { FuzzTarget } from "../engine/target.js";

export const target: FuzzTarget = {
  name: "endless",
  bytesMax: 8,
  msMax: 1000,
  msPerKb: 1000,
  seeds: () => [Uint8Array.of(1)],
  open: () => ({ run }),
};

function run(input: Uint8Array): void {
  while (input.length === 0);
}
