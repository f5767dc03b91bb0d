/**
 * Limits that the control group of this process and the groups above it set, such as those of a
 * container or of a systemd unit. Reads versions 1 and 2 of control groups. On another system there
 * are no files to read, and no limit is found.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const MOUNT = "/sys/fs/cgroup";

/** Reads a file as text; returns "" when it cannot be read. */
export type ReadText = (path: string) => string;

export const readText: ReadText = (path) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // another system, another version of control groups, or no descriptor left
  }
};

interface GroupFolders {
  version: 1 | 2;
  /** The folder of the own group first, then those of the groups above it, the root's last. */
  folders: readonly string[];
}

/** Finds the folders of a controller. A folder may be missing: a container sees only its own part. */
function groupFolders(
  controller: "memory" | "cpu" | "cpuset" | "pids",
  read: ReadText = readText,
): GroupFolders {
  const lines = read("/proc/self/cgroup")
    .split("\n")
    .map((line) => /^\d+:([^:]*):(\/.*)$/.exec(line));
  const first = lines.find((line) => line?.[1]?.split(",").includes(controller));
  const own = first ?? lines.find((line) => line?.[1] === "");
  const version = first === undefined ? 2 : 1;
  const base = version === 1 ? join(MOUNT, controller) : MOUNT;
  const path = own?.[2] ?? "/";
  // A path with ".." leads out of what this container sees.
  const names = path.includes("..") ? [] : path.split("/").filter((name) => name !== "");
  const folders = names.map((_, at) => join(base, ...names.slice(0, names.length - at)));
  return { version, folders: [...folders, base] };
}

/** The lowest memory limit in bytes; undefined without one. `isRead`: whether the groups say what it is. */
export function memoryLimit(read: ReadText = readText): { bytes?: number; isRead: boolean } {
  const { version, folders } = groupFolders("memory", read);
  // The kernel kills above `max`, and slows a process down to a crawl above `high`.
  const names = version === 1 ? ["memory.limit_in_bytes"] : ["memory.max", "memory.high"];
  const texts = folders.flatMap((folder) => names.map((name) => read(join(folder, name))));
  const bytes = lowest(texts.map(number));
  return { ...(bytes !== undefined && { bytes }), isRead: texts.some((text) => text !== "") };
}

/** The lowest CPU quota in cores, such as 0.5; undefined without one. */
export function cpuQuotaCores(read: ReadText = readText): number | undefined {
  const { version, folders } = groupFolders("cpu", read);
  return lowest(
    folders.map((folder) => {
      const [quota = "", period = ""] =
        version === 2
          ? read(join(folder, "cpu.max")).trim().split(" ")
          : ["quota", "period"].map((name) => read(join(folder, `cpu.cfs_${name}_us`)));
      const cores = number(quota) / number(period);
      return cores > 0 ? cores : NaN; // version 1 writes "no quota" as -1
    }),
  );
}

/** How many processes and threads may be started yet; undefined without a limit. */
export function tasksLeft(read: ReadText = readText): number | undefined {
  const { folders } = groupFolders("pids", read);
  return lowest(
    folders.map(
      (folder) =>
        number(read(join(folder, "pids.max"))) - number(read(join(folder, "pids.current"))),
    ),
  );
}

/**
 * The cores that this process may be given, as the kernel lists them, such as `0-3,8`; "" when
 * unknown. A narrower affinity of the process is no limit: it can be widened.
 */
export function grantableCores(read: ReadText = readText): string {
  const { version, folders } = groupFolders("cpuset", read);
  const name = version === 1 ? "cpuset.effective_cpus" : "cpuset.cpus.effective";
  const names = [name, "cpuset.cpus"];
  const lists = folders.flatMap((folder) => names.map((each) => read(join(folder, each)).trim()));
  return lists.find((list) => list !== "") ?? read("/sys/devices/system/cpu/online").trim();
}

/**
 * Number of processes that the kernel has killed because memory ran out; 0 where it does not report
 * it. Counts the own group and those below it. Version 1 does not add up the groups below, so the
 * kills of the whole machine are counted there, as in the root group of version 2.
 */
export function oomKills(read: ReadText = readText): number {
  const { version, folders } = groupFolders("memory", read);
  const own = version === 1 ? [] : folders.map((folder) => read(join(folder, "memory.events")));
  for (const text of [...own, read("/proc/vmstat")]) {
    const count = /^oom_kill (\d+)$/m.exec(text)?.[1];
    if (count !== undefined) return Number(count);
  }
  return 0;
}

/** NaN for "max", for an empty text, and for the numbers near 2^63 by which version 1 says "none". */
function number(text: string): number {
  const value = Number.parseInt(text, 10);
  return value < Number.MAX_SAFE_INTEGER ? value : NaN;
}

function lowest(values: readonly number[]): number | undefined {
  const numbers = values.filter((value) => !Number.isNaN(value));
  return numbers.length === 0 ? undefined : Math.min(...numbers);
}
