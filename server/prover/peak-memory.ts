/**
 * Resident memory of this process: now, and its peak since the last reset. On Linux the kernel keeps the
 * peak (VmHWM) and resets it on request (/proc/self/clear_refs). Where it cannot be reset it is not known:
 * the peak of the whole life would be learned for every later proof.
 */
import { openSync, readFileSync, writeSync } from "node:fs";

/** "The peak is that of now", to the kernel. */
const RESET = "5";

export class ResidentMemory {
  /** As it was read last. */
  private last = 0;

  /** @param read throws where the process can open no file to read it from */
  constructor(private readonly read: () => number = () => process.memoryUsage.rss()) {}

  /** Bytes now, or as they were last known; 0 before. */
  bytes(): number {
    try {
      this.last = this.read();
    } catch {
      // The library has opened all files that this process may.
    }
    return this.last;
  }
}

export class PeakMemory {
  /** The kernel's file for resets; undefined: the peak is not known. */
  private descriptor: number | undefined;

  /** Make it before the process forbids its inspection: from then on only root may open the file. */
  constructor() {
    try {
      this.descriptor = openSync("/proc/self/clear_refs", "w");
    } catch {
      // Another system, or one without this file.
    }
  }

  /** Makes the peak that of now. */
  reset(): void {
    if (this.descriptor === undefined) return;
    try {
      writeSync(this.descriptor, RESET);
    } catch {
      this.descriptor = undefined;
    }
  }

  /** The peak in bytes; 0: not known. */
  bytes(): number {
    if (this.descriptor === undefined) return 0;
    try {
      const status = readFileSync("/proc/self/status", "utf8");
      return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
    } catch {
      return 0; // The library has opened all files that this process may.
    }
  }
}
