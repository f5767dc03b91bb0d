/** A rejection that nobody handles, after the run itself went well. */
import type { FuzzTarget } from "../engine/target.js";

export const target: FuzzTarget = {
  name: "unhandled",
  bytesMax: 8,
  msMax: 1000,
  msPerKb: 1000,
  seeds: () => [Uint8Array.of(1)],
  open: () => ({ run }),
};

function run(input: Uint8Array): void {
  if (input.length > 4) void Promise.reject(new Error("planted rejection"));
}
