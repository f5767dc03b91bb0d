/**
 * What the service may use of this machine: memory, cores, file descriptors, processes. `serve`,
 * its log and `doctor` all take their figures from here, so that they agree.
 */
import { availableParallelism, totalmem } from "node:os";
import { cpuQuotaCores, memoryLimit, readText, tasksLeft } from "./control-group.js";
import type { ReadText } from "./control-group.js";

export interface Machine {
  /** Bytes of memory: the machine's, or the control group's limit where that is lower. */
  memoryBytes: number;
  /** Whether a control group says what its memory limit is, be it none. */
  isMemoryLimitRead: boolean;
  /** Cores on which this process runs. */
  cores: number;
  /** CPU time that the control group allows, in cores; Infinity without a quota. */
  quotaCores: number;
  /** File descriptors that this process may have open; Infinity when unlimited or unknown. */
  openFilesMax: number;
  /** Processes and threads that may be started yet; Infinity when unlimited or unknown. */
  tasksLeft: number;
}

/** Reads what the service may use. The values may change while it runs, so read them again. */
export function readMachine(read: ReadText = readText, totalBytes = totalmem()): Machine {
  const { bytes = Infinity, isRead } = memoryLimit(read);
  return {
    memoryBytes: Math.min(totalBytes, bytes),
    isMemoryLimitRead: isRead,
    cores: availableParallelism(),
    quotaCores: cpuQuotaCores(read) ?? Infinity,
    openFilesMax: processLimit("Max open files", read),
    tasksLeft: tasksLeft(read) ?? Infinity,
  };
}

/** The soft limit of this process by its name in `/proc/self/limits`; Infinity if not set. */
export function processLimit(name: string, read: ReadText = readText): number {
  const line = read("/proc/self/limits")
    .split("\n")
    .find((each) => each.startsWith(`${name} `));
  const soft = Number.parseInt(line?.slice(name.length) ?? "", 10);
  return Number.isNaN(soft) ? Infinity : soft;
}
