/** The limits of control groups of both versions, as the kernel's files state them. */
import { describe, expect, test } from "vitest";
import {
  cpuQuotaCores,
  grantableCores,
  memoryLimit,
  oomKills,
  tasksLeft,
} from "../../../server/machine/control-group.js";
import { processLimit, readMachine } from "../../../server/machine/machine.js";

const GIB = 1024 ** 3;
const NO_LIMIT = "9223372036854771712";

/** A kernel with these files and no others. */
const kernel = (files: Record<string, string>) => (path: string) => files[path] ?? "";

/** A systemd unit in version 2, whose slice is limited too. */
const UNIT = {
  "/proc/self/cgroup": "0::/system.slice/lean.service\n",
  "/sys/fs/cgroup/system.slice/memory.max": "max\n",
  "/sys/fs/cgroup/system.slice/lean.service/memory.max": `${2 * GIB}\n`,
  "/sys/fs/cgroup/system.slice/lean.service/memory.high": "max\n",
  "/sys/fs/cgroup/system.slice/cpu.max": "300000 100000\n",
  "/sys/fs/cgroup/system.slice/lean.service/cpu.max": "max 100000\n",
  "/sys/fs/cgroup/system.slice/lean.service/pids.max": "64\n",
  "/sys/fs/cgroup/system.slice/lean.service/pids.current": "30\n",
  "/sys/fs/cgroup/system.slice/lean.service/memory.events": "oom 3\noom_kill 2\n",
};
/** The same in version 1. */
const UNIT_1 = {
  "/proc/self/cgroup": "5:memory:/lean/unit\n4:cpu,cpuacct:/lean\n3:pids:/\n0::/\n",
  "/sys/fs/cgroup/memory/lean/unit/memory.limit_in_bytes": NO_LIMIT,
  "/sys/fs/cgroup/memory/lean/memory.limit_in_bytes": `${GIB}`,
  "/sys/fs/cgroup/memory/memory.limit_in_bytes": NO_LIMIT,
  "/sys/fs/cgroup/cpu/lean/cpu.cfs_quota_us": "50000",
  "/sys/fs/cgroup/cpu/lean/cpu.cfs_period_us": "100000",
  "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
  "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
};

describe("the memory limit", () => {
  test("is that of the own group, or of a group above it where that is lower", () => {
    expect(memoryLimit(kernel(UNIT)).bytes).toBe(2 * GIB);
    const slice = { ...UNIT, "/sys/fs/cgroup/system.slice/memory.max": `${GIB}` };
    expect(memoryLimit(kernel(slice)).bytes).toBe(GIB);
    expect(memoryLimit(kernel(UNIT_1)).bytes).toBe(GIB);
  });

  test("counts memory.high, above which the kernel slows a process down", () => {
    const high = { ...UNIT, "/sys/fs/cgroup/system.slice/lean.service/memory.high": `${GIB}` };
    expect(memoryLimit(kernel(high)).bytes).toBe(GIB);
  });

  test("is a container's where only its own part of the tree is mounted", () => {
    const version2 = { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": `${GIB}` };
    expect(memoryLimit(kernel(version2)).bytes).toBe(GIB);
    const outside = { ...version2, "/proc/self/cgroup": "0::/../../other\n" };
    expect(memoryLimit(kernel(outside)).bytes).toBe(GIB);
    const version1 = {
      "/proc/self/cgroup": "4:memory:/docker/0123\n",
      "/sys/fs/cgroup/memory/memory.limit_in_bytes": `${GIB}`,
    };
    expect(memoryLimit(kernel(version1)).bytes).toBe(GIB);
  });

  test("is undefined where nothing sets one", () => {
    expect(memoryLimit(kernel({})).bytes).toBeUndefined();
    expect(memoryLimit(kernel({ "/proc/self/cgroup": "0::/\n" })).bytes).toBeUndefined();
    const none = { ...UNIT_1, "/sys/fs/cgroup/memory/lean/memory.limit_in_bytes": NO_LIMIT };
    expect(memoryLimit(kernel(none)).bytes).toBeUndefined();
  });

  test("is read, too, of a group without one", () => {
    const none = { "/proc/self/cgroup": "0::/unit\n", "/sys/fs/cgroup/unit/memory.max": "max\n" };
    expect(memoryLimit(kernel(none))).toEqual({ isRead: true });
    expect(memoryLimit(kernel({}))).toEqual({ isRead: false });
  });

  test("lowers the machine's memory, and a higher one does not raise it", () => {
    expect(readMachine(kernel(UNIT), 8 * GIB).memoryBytes).toBe(2 * GIB);
    expect(readMachine(kernel(UNIT), GIB).memoryBytes).toBe(GIB);
    expect(readMachine(kernel({}), 8 * GIB)).toMatchObject({
      memoryBytes: 8 * GIB,
      quotaCores: Infinity,
      openFilesMax: Infinity,
      tasksLeft: Infinity,
    });
  });
});

test("the CPU quota is the lowest of the own group and those above it, in cores", () => {
  expect(cpuQuotaCores(kernel(UNIT))).toBe(3);
  expect(cpuQuotaCores(kernel(UNIT_1))).toBe(0.5);
  const none = { ...UNIT_1, "/sys/fs/cgroup/cpu/lean/cpu.cfs_quota_us": "-1" };
  expect(cpuQuotaCores(kernel(none))).toBeUndefined();
  expect(cpuQuotaCores(kernel({}))).toBeUndefined();
});

test("the processes that may be started yet are the limit less those that live", () => {
  expect(tasksLeft(kernel(UNIT))).toBe(34);
  expect(tasksLeft(kernel(UNIT_1))).toBeUndefined();
});

test("the cores are those of the cpuset, or those of the machine", () => {
  const online = { "/sys/devices/system/cpu/online": "0-7\n" };
  expect(grantableCores(kernel(online))).toBe("0-7");
  const own = "/sys/fs/cgroup/system.slice/lean.service/cpuset.cpus.effective";
  expect(grantableCores(kernel({ ...UNIT, ...online, [own]: "2-3\n" }))).toBe("2-3");
  const version1 = {
    "/proc/self/cgroup": "3:cpuset:/lean\n",
    "/sys/fs/cgroup/cpuset/lean/cpuset.effective_cpus": "1,3\n",
  };
  expect(grantableCores(kernel({ ...version1, ...online }))).toBe("1,3");
});

test("kills for memory are counted in the own group, else on the whole machine", () => {
  expect(oomKills(kernel(UNIT))).toBe(2);
  const machine = { "/proc/vmstat": "pgfault 4\noom_kill 7\n" };
  expect(oomKills(kernel(machine))).toBe(7);
  const version1 = {
    ...machine,
    "/proc/self/cgroup": "4:memory:/lean\n",
    "/sys/fs/cgroup/memory/lean/memory.oom_control": "oom_kill 0\n",
  };
  expect(oomKills(kernel(version1)), "a group of version 1 does not count those below").toBe(7);
  const container = {
    "/proc/self/cgroup": "0::/host/pod/lean\n",
    "/sys/fs/cgroup/memory.events": "oom_kill 3\n",
  };
  expect(oomKills(kernel(container)), "the own folder is not mounted").toBe(3);
  expect(oomKills(kernel({}))).toBe(0);
});

test("a limit of the process is read by its name; 'unlimited' counts as no limit", () => {
  const limits = [
    "Limit                     Soft Limit           Hard Limit           Units",
    "Max processes             unlimited            unlimited            processes",
    "Max open files            256                  4096                 files",
  ].join("\n");
  expect(processLimit("Max open files", kernel({ "/proc/self/limits": limits }))).toBe(256);
  expect(processLimit("Max processes", kernel({ "/proc/self/limits": limits }))).toBe(Infinity);
  expect(processLimit("Max open files", kernel({}))).toBe(Infinity);
});
