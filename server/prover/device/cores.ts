/** The cores of devices: which of them exist, and how many threads a prover gets. */
import type { Machine } from "../../machine/machine.js";

interface DeviceCores {
  id: string;
  /** Cores to prove on; empty means all that the service may use. */
  cores: readonly number[];
  /** Threads as configured; 0: one for each core. */
  threads: number;
}

/**
 * Threads of a device's prover: as configured, but never more than its share of the CPU quota. More
 * threads would only use the quota up early in each period, and then all stand still together.
 */
export function proverThreads(
  { cores, threads }: DeviceCores,
  machine: Pick<Machine, "cores" | "quotaCores">,
  devices: readonly DeviceCores[],
): number {
  const own = cores.length || machine.cores;
  const all = devices.reduce((sum, each) => sum + (each.cores.length || machine.cores), 0);
  const share = (machine.quotaCores * own) / Math.max(all, own);
  return Math.max(1, Math.min(threads || own, Math.ceil(share)));
}

/**
 * Names the first device that has cores which the kernel will not give this process; undefined when
 * every device has its cores. @param grantable as the kernel lists cores, such as `0-3,8`; "" when unknown
 */
export function missingCores(
  devices: readonly DeviceCores[],
  grantable: string,
): { at: number; problem: string } | undefined {
  if (grantable === "") return undefined;
  const ranges = grantable.split(",").map((part) => part.split("-").map(Number));
  const exists = (core: number) =>
    ranges.some(([first = NaN, last = first]) => first <= core && core <= last);
  for (const [at, { cores }] of devices.entries()) {
    const missing = cores.filter((core) => !exists(core));
    if (missing.length === 0) continue;
    const which = missing.length === 1 ? "core" : "cores";
    const shown = missing.slice(0, 8).join(", ") + (missing.length > 8 ? ", …" : "");
    const problem = `names ${which} ${shown}, but this process may use only ${grantable}: name others`;
    return { at, problem };
  }
  return undefined;
}

/** Cores for people, such as `0-3,8`. */
export function coresText(cores: readonly number[]): string {
  const ranges: [from: number, to: number][] = [];
  for (const core of [...cores].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && core === last[1] + 1) last[1] = core;
    else ranges.push([core, core]);
  }
  return ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(",");
}
