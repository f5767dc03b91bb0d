/**
 * The files that describe a backend. `build/lean_pq.json`, which `make setup` writes, and
 * `build/lean_multisig.json`, of `make setup-multisig`, name the library and its configuration. The calibration holds a message and its votes: with proofs of the
 * first two a device measures its speed, with proofs of more `tune` measures layouts.
 */
import { join, resolve } from "node:path";
import { z } from "zod";
import { setupCommand } from "../../../native/setup-command.js";
import { concat } from "../../bytes.js";
import { readJsonFile } from "../../files/json-file.js";
import { limits } from "../../limits.js";
import type { FoldInputs, SignedMessage } from "../prover.js";

/** A backend's shared library, its configuration text and, where it has one, its calibration. */
export interface BackendOptions {
  library: string;
  config: string;
  /** Path of the calibration, which `readCalibration` reads; undefined: the backend has none. */
  calibration?: string | undefined;
  /** Largest file in MB that its setup writes. Default: 0, it writes none. */
  setupFileMb?: number;
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

/** The backends of this project, each over a wheel. */
const BACKENDS = { lean_pq: { setupFileMb: 0 }, lean_multisig: { setupFileMb: 1 } };
export type BackendName = keyof typeof BACKENDS;

/**
 * Reads a backend that `make setup` or `make setup-multisig` has set up. Relative paths in the file
 * are relative to `rootPath`. Throws when the file is missing or invalid; the error says what to do.
 *
 * @param name default: lean_pq
 */
export function readBackendFile(rootPath: string, name: BackendName = "lean_pq"): BackendOptions {
  const file = join(rootPath, "build", `${name}.json`);
  const { setupFileMb } = BACKENDS[name];
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
      calibration: join(rootPath, "native", "backends", name, "calibration.json"),
      setupFileMb,
    };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const todo = `run '${setupCommand(rootPath, name)}'`;
    throw new Error(`the prover backend is not set up (${why}); ${todo}`, { cause });
  }
}

const SLOT = "expected a whole number from 0 to 4294967295";
const bytes = z
  .hex("expected hexadecimal digits")
  .transform((text) => new Uint8Array(Buffer.from(text, "hex")));
const vote = { publicKey: bytes, signature: bytes };
const calibrationFile = z.strictObject({
  ...vote,
  /** The message that was signed, 32 bytes. */
  root: bytes,
  slot: z.number(SLOT).int(SLOT).min(0, SLOT).max(0xffffffff, SLOT),
  /** Votes of other validators for the same message. */
  more: z.array(z.strictObject(vote)).max(limits.validatorsMax).default([]),
});

/** A message and votes of different validators for it, at least one. */
export interface Calibration {
  message: SignedMessage;
  votes: readonly { publicKey: Uint8Array; signature: Uint8Array }[];
}

/**
 * Reads the votes of a calibration. Throws when the file is missing or invalid. The backend checks
 * the lengths of keys and signatures.
 */
export function readCalibrationVotes(path: string): Calibration {
  const content = readJsonFile(path, limits.calibrationBytesMax, calibrationFile);
  const { publicKey, root, slot, signature, more } = content;
  return { message: { root, slot }, votes: [{ publicKey, signature }, ...more] };
}

/**
 * Reads the first two votes of a calibration, or its only one, with whose proofs a device measures its
 * speed. Throws as above.
 */
export function readCalibration(path: string): FoldInputs {
  const { message, votes } = readCalibrationVotes(path);
  const two = votes.slice(0, 2);
  const keys = concat(two.map(({ publicKey }) => publicKey));
  const signatures = concat(two.map(({ signature }) => signature));
  return { message, keys, signatures, children: [], logInvRate: 0 };
}
