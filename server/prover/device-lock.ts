/**
 * The host-wide lock of a device. The service takes it and every prover of the device inherits its
 * descriptor, so it is held for exactly as long as the service or one of its provers lives, also
 * when the service was killed and a prover still winds down.
 */
import { closeSync, readFileSync, writeFileSync } from "node:fs";
import type { Addon } from "../../native/addon.js";

/** How often a held lock is tried again. */
const RETRY_MS = 50;

export interface DeviceLockOptions {
  /** One file a device, the same for every service of this host. */
  path: string;
  /** Written into the file, to be named to whoever is refused. */
  pid: number;
  /** How long a lock may be waited for: provers of a killed service take a moment to end. */
  waitMs: number;
}

export interface DeviceLockModules {
  lockFile: Addon["lockFile"];
  nowMs(): number;
  sleep(ms: number): Promise<void>;
  /** Told once when the lock has to be waited for, with who holds it. */
  onWait(holder: string): void;
}

export class DeviceLockedError extends Error {
  override readonly name = "DeviceLockedError";
}

/** The lock's descriptor. Rejects with `DeviceLockedError`, the holder named. */
export async function lockDevice(
  options: DeviceLockOptions,
  modules: DeviceLockModules,
): Promise<number> {
  const { path, pid, waitMs } = options;
  const untilMs = modules.nowMs() + waitMs;
  for (let attempt = 0; ; attempt++) {
    const fd = modules.lockFile(path);
    if (fd >= 0) {
      writeFileSync(path, `${String(pid)}\n`);
      return fd;
    }
    if (attempt === 0) modules.onWait(lockHolder(path));
    if (modules.nowMs() >= untilMs) {
      throw new DeviceLockedError(
        `device lock ${path} is held by process ${lockHolder(path)} or a prover of it; ` +
          "stop that service, or give this one another device",
      );
    }
    await modules.sleep(RETRY_MS);
  }
}

/** Releases the lock here; provers that inherited it still hold it. */
export function unlockDevice(fd: number): void {
  closeSync(fd);
}

/** The process id in the lock file, or "unknown". */
export function lockHolder(path: string): string {
  try {
    return readFileSync(path, "utf8").trim() || "unknown";
  } catch {
    return "unknown"; // the file may be unreadable to us: the refusal matters, not the name
  }
}
