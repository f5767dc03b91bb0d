/** A temporary folder that does not outlive this process, whichever way that ends but by SIGKILL. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endWithProcess } from "./end-with-process.js";

export interface ProcessFolder {
  readonly path: string;
  /** Removes it before the exit. Idempotent. */
  remove(): void;
}

/** @param parent default: the system's folder for temporary files */
export function processFolder(prefix: string, parent = tmpdir()): ProcessFolder {
  const path = mkdtempSync(join(parent, prefix));
  // A process that was just killed may still write: `rm` then finds the folder not empty, and tries again.
  const remove = () => rmSync(path, { recursive: true, force: true, maxRetries: 5 });
  const outlived = endWithProcess(remove);
  return {
    path,
    remove: () => {
      outlived();
      remove();
    },
  };
}
