/**
 * The machine-wide lock of a device. The service takes it, and every prover of the device inherits
 * its descriptor. The lock is held as long as the service or one of its provers lives, so also
 * while a prover of a killed service is still ending.
 */
import { closeSync, readFileSync, writeFileSync } from "node:fs";
import type { Addon } from "../../native/addon.js";

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

class DeviceLockedError extends Error {
  override readonly name = "DeviceLockedError";
}

/** Resolves to the lock's descriptor. Rejects with `DeviceLockedError`, which names the holder. */
export async function lockDevice(
  options: DeviceLockOptions,
  modules: DeviceLockModules,
): Promise<number> {
  const { path, pid, waitMs } = options;
  const untilMs = modules.nowMs() + waitMs;
  for (let retries = 0; ; retries++) {
    const fd = modules.lockFile(path);
    if (fd >= 0) {
      writeFileSync(path, `${pid}\n`);
      return fd;
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
