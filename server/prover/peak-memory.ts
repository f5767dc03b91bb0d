/**
 * Peak resident memory of this process since the last reset. On Linux the kernel keeps it (VmHWM) and
 * resets it on request (/proc/self/clear_refs); elsewhere it is that of the whole life.
 */
import { readFileSync, writeFileSync } from "node:fs";

/** Makes the peak that of now. Without the kernel's help, the peak goes on from before. */
export function resetPeak(): void {
  try {
    writeFileSync("/proc/self/clear_refs", "5");
  } catch {
    // Another system, or a process that may not: its peak is then too high, never too low.
  }
}

/** The peak in bytes. */
export function peakResidentBytes(): number {
  try {
    const status = readFileSync("/proc/self/status", "utf8");
    const kib = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
    if (kib !== undefined) return Number(kib) * 1024;
  } catch {
    // Another system.
  }
  return process.resourceUsage().maxRSS * 1024;
}
