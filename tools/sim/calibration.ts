/** The proof by which simulated devices are timed before they take work. */
import type { FoldInputs } from "../../server/prover/prover.js";
import { KEY_BYTES } from "./work/sim-keys.js";
import { SIGNATURE_BYTES } from "./sim-prover.js";

const root = new Uint8Array(32).fill(0xca);
export const calibrationRoot = Buffer.from(root).toString("hex");

export const calibration: FoldInputs = {
  message: { root, slot: 0 },
  keys: new Uint8Array(KEY_BYTES).fill(1),
  signatures: new Uint8Array(SIGNATURE_BYTES),
  children: [],
  logInvRate: 0,
};

/** With a second signer: a child is timed too. */
export const calibrationOfTwo: FoldInputs = {
  ...calibration,
  keys: new Uint8Array([1, 1, 1, 1, 2, 2, 2, 2]),
  signatures: new Uint8Array(2 * SIGNATURE_BYTES),
};
