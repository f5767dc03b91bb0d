/**
 * Memory facts from the kernel: how many processes it has killed because memory ran out, and the
 * memory limit of this container.
 */
import { existsSync, readFileSync } from "node:fs";

/** Files that count out-of-memory kills: of our control group (version 2, 1), of the machine. */
const COUNTERS = [
  "/sys/fs/cgroup/memory.events",
  "/sys/fs/cgroup/memory/memory.oom_control",
  "/proc/vmstat",
];
/** A file of the root control group of version 1 only; the counter of that group stays at 0. */
const ROOT_GROUP_MARK = "/sys/fs/cgroup/memory/cgroup.sane_behavior";

/** Number of out-of-memory kills so far; 0 where the kernel does not report it. */
export function readOomKills(): number {
  const counters = existsSync(ROOT_GROUP_MARK) ? COUNTERS.slice(2) : COUNTERS;
  for (const path of counters) {
    const count = /^oom_kill (\d+)$/m.exec(readOrEmpty(path))?.[1];
    if (count !== undefined) return Number(count);
  }
  return 0;
}

/** The memory limit of our control group in bytes; undefined when there is none. */
export function readMemoryLimit(): number | undefined {
  const paths = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
  for (const path of paths) {
    const bytes = Number.parseInt(readOrEmpty(path), 10);
    // Version 1 reports "no limit" as a number near 2^63.
    if (Number.isFinite(bytes) && bytes < Number.MAX_SAFE_INTEGER) return bytes;
  }
  return undefined;
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // another system, or another version of control groups
  }
}
