/** Keeps a second call out of a folder of runs: two at once would spoil each other's times and files. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { codeOf } from "../../../server/files/file-reason.js";

/**
 * Writes this process's id to a file in the folder, and returns the function that removes it. A file that a
 * dead process left is replaced. Throws where another process has the folder.
 */
export function lockFolder(folder: string): () => void {
  const path = join(folder, "lock");
  try {
    claim(path);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    const pid = Number(readFileSync(path, "utf8"));
    if (isAlive(pid))
      throw new Error(
        `OUT=${folder} is in use by process ${pid}; wait for its end, or remove ${path} if that is no devnet`,
        { cause: error },
      );
    rmSync(path, { force: true });
    claim(path);
  }
  return () => rmSync(path, { force: true });
}

const claim = (path: string) => writeFileSync(path, String(process.pid), { flag: "wx" });

/** A process of another user is alive too. */
function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}
