/**
 * The files that describe a backend. `build/lean_pq.json`, which `make setup` writes, names the
 * library and its configuration. The calibration holds one signed message; with its proof a device
 * measures its speed.
 */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";
import type { ProofRequest } from "./prover.js";

/** A backend's shared library, its configuration text and, where it has one, its calibration. */
export interface BackendOptions {
  library: string;
  config: string;
  /** Path of the calibration, which `readCalibration` reads; undefined: the backend has none. */
  calibration?: string | undefined;
}

// The configuration has one line for each value: a line break in a value would forge another line.
const path = z
  .string()
  .min(1)
  .regex(/^[^\r\n]+$/, "must be one line");
const backendFile = z.object({
  library: path,
  libpython: path,
  python: path,
  sitepackages: path,
});

/**
 * Reads the backend that `make setup` has set up. Relative paths in the file are relative to
 * `rootPath`. Throws when the file is missing or invalid; the error says what to do.
 */
export function readBackendFile(rootPath: string): BackendOptions {
  const file = join(rootPath, "build", "lean_pq.json");
  try {
    const { library, libpython, python, sitepackages } = backendFile.parse(
      JSON.parse(readFileSync(file, "utf8")),
    );
    const values = Object.entries({ libpython, python, sitepackages });
    return {
      library: resolve(rootPath, library),
      config: values.map(([key, value]) => `${key}=${resolve(rootPath, value)}\n`).join(""),
      calibration: join(rootPath, "native", "backends", "lean_pq", "calibration.json"),
    };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`prover backend not set up (${file}: ${why}); run 'make setup'`, { cause });
  }
}

const bytes = z.hex().transform((text) => new Uint8Array(Buffer.from(text, "hex")));
const calibrationFile = z.strictObject({
  publicKey: bytes,
  /** The message that was signed, 32 bytes. */
  root: bytes,
  slot: z.number().int().min(0).max(0xffffffff),
  signature: bytes,
});

/**
 * Reads a calibration: the one-signature proof with which a device measures its speed. Throws when
 * the file is missing or invalid. The backend checks the lengths of key and signature.
 */
export function readCalibration(path: string): ProofRequest {
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
