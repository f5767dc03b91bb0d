/** Reads what Linux reports of other processes. */
import { readdirSync, readFileSync } from "node:fs";

/** Resident memory of a process, in bytes. */
export interface Resident {
  now: number;
  /** The largest since the process started. */
  peak: number;
}

/** False for a process that has ended, even if its parent has not yet collected its exit code. */
export function isRunning(pid: number): boolean {
  const state = statOf(pid)?.[0];
  return state !== undefined && state !== "Z";
}

export function allProcesses(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

export function childrenOf(parent: number): number[] {
  return allProcesses().filter((pid) => Number(statOf(pid)?.[1]) === parent);
}

export function residentOf(pid: number): Resident {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const bytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? NaN) * 1024;
  return { now: bytes("VmRSS"), peak: bytes("VmHWM") };
}

/** Processor time of a process so far, in milliseconds. Ticks are of 10 ms on every Linux that runs this. */
export function cpuMsOf(pid: number): number {
  const [user = 0, system = 0] = (statOf(pid) ?? []).slice(11, 13).map(Number);
  return (user + system) * 10;
}

/**
 * The fields of /proc/PID/stat after the process's name, which may have spaces: state, parent's id
 * and so on. Undefined for a process that does not exist.
 */
function statOf(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined; // the process has ended
  }
}
