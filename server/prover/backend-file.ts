/**
 * Reads which backend `make setup` built, from `build/lean_pq.json`, and makes the two strings with
 * which a prover process opens it.
 */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";

/** What `Addon.open` takes, a shared library and its own configuration; and what it is timed by. */
export interface BackendOptions {
  library: string;
  config: string;
  /** Path of its calibration, see `calibration-file.ts`; absent when it has none. */
  calibration?: string | undefined;
}

// The configuration is a line per value: a value with a line break would forge another line.
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

/** Relative paths in the file are relative to `rootPath`. Throws with what to do when unusable. */
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
