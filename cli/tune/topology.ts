/** Which processors this process may use, in an order in which neighbours share caches. */
import type { ReadText } from "../../server/machine/control-group.js";
import { readText } from "../../server/machine/control-group.js";

export interface Topology {
  /** Numbers of the processors: those of one package, cache and physical core side by side. */
  cores: readonly number[];
  /** Processors of a physical core; 1 where the system does not say. */
  processorsPerCore: number;
}

const CPUS = "/sys/devices/system/cpu";

/**
 * Reads the topology of Linux. @param count processors that this process may use, taken as 0 to
 * `count` less 1 where the system does not name them
 */
export function readTopology(count: number, read: ReadText = readText): Topology {
  const allowed = /^Cpus_allowed_list:\s*(\S+)$/m.exec(read("/proc/self/status"))?.[1] ?? "";
  const listed = coreNumbers(allowed);
  const cores = listed.length > 0 ? listed : Array.from({ length: count }, (_, at) => at);
  return inOrder(cores, read);
}

/** Sorts processors by what they share. */
export function inOrder(cores: readonly number[], read: ReadText = readText): Topology {
  const number = (path: string) => {
    const value = Number.parseInt(read(path), 10);
    return Number.isNaN(value) ? 0 : value;
  };
  const places = cores.map((core) => {
    const of = `${CPUS}/cpu${core}`;
    const place = ["topology/physical_package_id", "cache/index3/id", "topology/core_id"];
    return { core, place: place.map((file) => number(`${of}/${file}`)) };
  });
  const sorted = places.toSorted((a, b) => {
    const at = a.place.findIndex((value, index) => value !== b.place[index]);
    return at < 0 ? a.core - b.core : (a.place[at] ?? 0) - (b.place[at] ?? 0);
  });
  const siblings = cores.map((core) => {
    const list = coreNumbers(read(`${CPUS}/cpu${core}/topology/thread_siblings_list`).trim());
    return list.filter((each) => cores.includes(each)).length || 1;
  });
  const isUniform = siblings.every((each) => each === siblings[0]);
  return {
    cores: sorted.map(({ core }) => core),
    processorsPerCore: isUniform ? (siblings[0] ?? 1) : 1,
  };
}

/** The numbers in a list of the kernel, such as `0-3,8`; none where the text is no such list. */
export function coreNumbers(list: string): number[] {
  return list.split(",").flatMap((part) => {
    const [, first = "", last = first] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? [];
    const count = first === "" ? 0 : Number(last) - Number(first) + 1;
    return Array.from({ length: Math.max(0, count) }, (_, at) => Number(first) + at);
  });
}

/** Numbers as the kernel lists them: `0-3,8`. */
export function coreList(cores: readonly number[]): string {
  const sorted = [...cores].sort((a, b) => a - b);
  const runs: number[][] = [];
  for (const core of sorted) {
    const run = runs.at(-1);
    if (run?.at(-1) === core - 1) run.push(core);
    else runs.push([core]);
  }
  return runs
    .map((run) => (run.length === 1 ? `${run[0] ?? ""}` : `${run[0] ?? ""}-${run.at(-1) ?? ""}`))
    .join(",");
}
