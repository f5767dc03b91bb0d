/**
 * The files that describe a backend. `build/lean_pq.json`, which `make setup` writes, names the
 * library and its configuration. The calibration holds one signed message; with its proof a device
 * measures its speed.
 */
import { join, resolve } from "node:path";
import { z } from "zod";
import { readJsonFile } from "../files/json-file.js";
import { limits } from "../limits.js";
import type { ProofRequest } from "./prover.js";

/** A backend's shared library, its configuration text and, where it has one, its calibration. */
export interface BackendOptions {
  library: string;
  config: string;
  /** Path of the calibration, which `readCalibration` reads; undefined: the backend has none. */
  calibration?: string | undefined;
}

// The configuration has one line for each value: a line break in a value would forge another line.
const PATH = "expected a path in one line";
const path = z.string(PATH).regex(/^[^\r\n]+$/, PATH);
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
    const { library, libpython, python, sitepackages } = readJsonFile(
      file,
      limits.backendFileBytesMax,
      backendFile,
    );
    const values = Object.entries({ libpython, python, sitepackages });
    return {
      library: resolve(rootPath, library),
      config: values.map(([key, value]) => `${key}=${resolve(rootPath, value)}\n`).join(""),
      calibration: join(rootPath, "native", "backends", "lean_pq", "calibration.json"),
    };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`the prover backend is not set up (${why}); run 'make setup'`, { cause });
  }
}

const SLOT = "expected a whole number from 0 to 4294967295";
const bytes = z
  .hex("expected hexadecimal digits")
  .transform((text) => new Uint8Array(Buffer.from(text, "hex")));
const calibrationFile = z.strictObject({
  publicKey: bytes,
  /** The message that was signed, 32 bytes. */
  root: bytes,
  slot: z.number(SLOT).int(SLOT).min(0, SLOT).max(0xffffffff, SLOT),
  signature: bytes,
});

/**
 * Reads a calibration: the one-signature proof with which a device measures its speed. Throws when
 * the file is missing or invalid. The backend checks the lengths of key and signature.
 */
export function readCalibration(path: string): ProofRequest {
  const { publicKey, root, slot, signature } = readJsonFile(
    path,
    limits.backendFileBytesMax,
    calibrationFile,
  );
  return {
    message: { root, slot },
    keys: publicKey,
    signatures: signature,
    children: [],
    logInvRate: 0,
  };
}
