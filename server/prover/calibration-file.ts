/**
 * A backend's calibration: one signed message, for which a device makes its first proof to find out
 * how fast it is. A JSON file beside the backend; lengths are the backend's to check.
 */
import { readFileSync } from "node:fs";
import { z } from "zod";
import type { ProveJob } from "./prover.js";

const bytes = z.hex().transform((text) => new Uint8Array(Buffer.from(text, "hex")));
const calibrationFile = z.strictObject({
  publicKey: bytes,
  /** What was signed. */
  root: bytes,
  slot: z.number().int().min(0).max(0xffffffff),
  signature: bytes,
});

/** Throws when the file is missing or no calibration. */
export function readCalibration(path: string): ProveJob {
  const text = readFileSync(path, "utf8");
  const { publicKey, root, slot, signature } = calibrationFile.parse(JSON.parse(text));
  return {
    message: { root, slot },
    keys: publicKey,
    signatures: signature,
    children: [],
    logInvRate: 0,
  };
}
