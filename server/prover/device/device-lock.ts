/**
 * The machine-wide lock of a device. The service takes it, and every prover of the device inherits
 * its descriptor. The lock is held as long as the service or one of its provers lives, so also
 * while a prover of a killed service is still ending.
 */
import {
  closeSync,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  readFileSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import type { Addon } from "../../../native/addon.js";
import { ownerText } from "../../files/file-reason.js";

/** Milliseconds between two tries to take a lock that another process holds. */
const RETRY_MS = 50;

export interface DeviceLockOptions {
  /** Path of the device's lock file, the same for every service of this machine. */
  path: string;
  /** The service's process id: written into the file, so that other services can report it. */
  pid: number;
  /** Longest wait for the lock in milliseconds: provers of a killed service take time to end. */
  waitMs: number;
}

export interface DeviceLockModules {
  lockFile: Addon["lockFile"];
  nowMs(): number;
  sleep(ms: number): Promise<void>;
  /** Called once when the lock is not free at first. `holder`: a process id, or "unknown". */
  onWait(holder: string): void;
}

/** Another process holds the lock. */
export class DeviceLockedError extends Error {
  override readonly name = "DeviceLockedError";
}

/**
 * Resolves to the lock's descriptor. Rejects with `DeviceLockedError`, which names the holder, and
 * with an `Error` that says what to do when the file cannot be locked at all.
 */
export async function lockDevice(
  options: DeviceLockOptions,
  modules: DeviceLockModules,
): Promise<number> {
  const { path, pid, waitMs } = options;
  const untilMs = modules.nowMs() + waitMs;
  for (let retries = 0; ; retries++) {
    const fd = lock(path, modules);
    // The file may have been deleted between its opening and its lock: then it excludes nobody.
    if (fd >= 0 && isFileAt(path, fd)) {
      shareAsFolder(path, fd);
      note(pid, fd);
      return fd;
    }
    if (fd >= 0) {
      closeSync(fd);
      continue;
    }
    if (retries === 0) modules.onWait(lockHolder(path));
    if (modules.nowMs() >= untilMs) {
      throw new DeviceLockedError(
        `device lock ${path} is held by process ${lockHolder(path)} or one of its provers; ` +
          "stop that service, or give this one another device",
      );
    }
    await modules.sleep(RETRY_MS);
  }
}

function lock(path: string, { lockFile }: Pick<DeviceLockModules, "lockFile">): number {
  try {
    return lockFile(path);
  } catch (cause) {
    const owner = ownerText(path);
    const why = `${cause instanceof Error ? cause.message : String(cause)}${owner === undefined ? "" : `, ${owner}`}`;
    throw new Error(`${why}: set --runtime-dir to a local folder that this user can write to`, {
      cause,
    });
  }
}

function isFileAt(path: string, fd: number): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  const locked = fstatSync(fd);
  return found !== undefined && found.ino === locked.ino && found.dev === locked.dev;
}

/**
 * Lets everybody use the lock who may write to its folder, so that services of several users share
 * it, and nobody else, who could hold it for ever. With the sticky bit, systemd-tmpfiles leaves a
 * file alone, however old it is. A file of another user stays as it is.
 */
function shareAsFolder(path: string, fd: number): void {
  try {
    const writers = statSync(dirname(path)).mode & 0o022;
    fchmodSync(fd, 0o1600 | writers | (writers << 1));
  } catch {
    // it is locked all the same
  }
}

/** Writes the process id into the file. It only informs: a full disk is no reason to stop. */
function note(pid: number, fd: number): void {
  try {
    ftruncateSync(fd);
    writeSync(fd, `${pid}\n`, 0);
  } catch {
    // other services then report the holder as "unknown"
  }
}

/** Releases the lock in this process; a prover that inherited it still holds it. */
export function unlockDevice(fd: number): void {
  closeSync(fd);
}

/** The process id of the service that took the lock, from the lock file; "unknown" without one. */
export function lockHolder(path: string): string {
  try {
    return readFileSync(path, "utf8").trim() || "unknown";
  } catch {
    return "unknown"; // without the right to read the file, the lock is still reported as held
  }
}
