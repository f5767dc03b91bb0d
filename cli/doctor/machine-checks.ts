/** `doctor`'s checks of the machine. Each judges values that `doctor.ts` has read. */
import { MEMORY_BYTES_MIN } from "../../server/machine-watch.js";
import {
  nodeConnectionsMax,
  openFilesNeeded,
  openFilesWanted,
} from "../../server/machine/connections.js";
import type { Finding } from "./finding.js";
import { fail, ok, warn } from "./finding.js";

/** Peak memory of a prover of lean_pq with four children, and the service's. */
const MEMORY_BYTES_ENOUGH = 3 * 1024 ** 3;
/** Threads of a process of Node.js, 11 measured. */
const THREADS_OF_NODE = 12;
/** Provers that a device may have at once: two, and one that starts while another ends. */
const PROVERS_OF_DEVICE = 3;
const CPU_FEATURES = ["avx2", "pclmulqdq"];

/** @param range the `engines.node` of package.json, such as `>=20.19` */
export function checkNodeVersion(version: string, range: string): Finding {
  const numbers = (text: string) => (text.match(/\d+/g) ?? []).map(Number);
  const [major = 0, minor = 0] = numbers(version);
  const [majorMin = 0, minorMin = 0] = numbers(range);
  const isEnough = major > majorMin || (major === majorMin && minor >= minorMin);
  return isEnough ? ok(version) : fail(`${version} is too old: install Node.js ${range}`);
}

/** @param cpuinfo the text of /proc/cpuinfo; undefined if it is missing */
export function checkCpuFeatures(arch: string, cpuinfo: string | undefined): Finding {
  if (arch !== "x64") return ok(`none needed on ${arch}`);
  if (cpuinfo === undefined)
    return warn(`cannot be read here: make sure that the processor has ${CPU_FEATURES.join(", ")}`);
  const has = new Set(/^flags\s*:(.*)$/m.exec(cpuinfo)?.[1]?.trim().split(/\s+/));
  const missing = CPU_FEATURES.filter((feature) => !has.has(feature));
  if (missing.length === 0) return ok(CPU_FEATURES.join(", "));
  return fail(
    `the processor lacks ${missing.join(", ")}: use another one, or enable them in the VM`,
  );
}

export interface Cores {
  /** Number of cores on which this process may run. */
  allowed: number;
  /** Number of cores of the machine. */
  machine: number;
  /** The allowed cores as the kernel lists them, such as `0-3,8`; undefined if unknown. */
  allowedList: string | undefined;
  /** The control group's CPU quota in cores; Infinity without one. */
  quotaCores: number;
  /** Threads of a prover of each device, such as `cpu: 2`; empty without devices. */
  threads: string;
  /** Which device names cores that this process cannot use; undefined if none does. */
  missing: string | undefined;
}

export function checkCores(cores: Cores): Finding {
  const { allowed, machine, allowedList, quotaCores, threads, missing } = cores;
  if (missing !== undefined) return fail(missing);
  const which = allowedList === undefined ? "" : ` (${allowedList})`;
  const isSlower = quotaCores < allowed;
  const quota = isSlower ? `, with a CPU quota of ${Number(quotaCores.toFixed(2))} cores` : "";
  const provers = threads === "" ? "" : `; prover threads: ${threads}`;
  const text = `may run on ${allowed} of ${machine} cores${which}${quota}${provers}`;
  if (isSlower) {
    return warn(
      `${text}: proofs take longer; raise CPUQuota= or the container's CPU limit to use the cores`,
    );
  }
  if (allowed > 1) return ok(text);
  const todo = machine > 1 ? "widen the CPU affinity or cpuset" : "use a machine with more cores";
  return warn(`${text}; service and prover share one core: ${todo}`);
}

/**
 * @param load how many processes wanted to run in the last minute, on average
 * @param cores on how many cores this process may run
 */
export function checkLoad(load: number, cores: number): Finding {
  const text = `${load.toFixed(1)} processes wanted to run in the last minute, on ${cores} cores`;
  if (load < 1.5 * cores) return ok(text);
  return warn(`${text}: proofs take several times as long and miss their fences; stop the others`);
}

export interface Memory {
  /** Whether some device proves with lean_pq, whose needs are known. */
  usesLeanPq: boolean;
  totalBytes: number;
  freeBytes: number;
  /** What the service may use: all of it, or the control group's limit. */
  usableBytes: number;
}

export function checkMemory({ usesLeanPq, totalBytes, freeBytes, usableBytes }: Memory): Finding {
  // In the unit of --prover-memory-mb and of the service's log.
  const mb = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;
  const isLimited = usableBytes < totalBytes;
  const limit = isLimited ? `, limited to ${mb(usableBytes)} by the control group` : "";
  const text = `${mb(totalBytes)}, ${mb(freeBytes)} free${limit}`;
  if (!usesLeanPq) return ok(`${text}; how much a proof takes, only its library knows`);
  if (usableBytes < MEMORY_BYTES_MIN)
    return fail(`${text}: a proof takes 900 MB or more, so allow at least ${mb(MEMORY_BYTES_MIN)}`);
  const children = "proofs with children take up to 2800 MB";
  if (usableBytes < MEMORY_BYTES_ENOUGH)
    return warn(`${text}: ${children}, so allow ${mb(MEMORY_BYTES_ENOUGH)}`);
  if (freeBytes < MEMORY_BYTES_ENOUGH) return warn(`${text}: ${children}, so stop other programs`);
  return ok(text);
}

/** @param openFilesMax the limit of this process; Infinity when unlimited or unknown */
export function checkOpenFiles(openFilesMax: number, devices: number): Finding {
  const wanted = openFilesWanted(devices);
  if (openFilesMax === Infinity) return ok("no limit known");
  const todo = `raise the limit to ${wanted} with 'ulimit -n' or LimitNOFILE=`;
  const needed = openFilesNeeded(devices);
  if (openFilesMax < needed)
    return fail(`at most ${openFilesMax}, and the service needs ${needed}: ${todo}`);
  const text = `at most ${openFilesMax}, for ${nodeConnectionsMax(openFilesMax, devices)} connections of nodes`;
  return openFilesMax >= wanted ? ok(text) : warn(`${text}: ${todo}`);
}

export interface Tasks {
  /** What the control groups leave; Infinity without a limit. */
  left: number;
  /** The limit of the user, which the processes of all its sessions share; Infinity without one. */
  userMax: number;
}

/** @param proverThreads how many threads a prover of each device proves with */
export function checkTasks({ left, userMax }: Tasks, proverThreads: readonly number[]): Finding {
  const wanted = proverThreads.reduce(
    (sum, threads) => sum + PROVERS_OF_DEVICE * (THREADS_OF_NODE + threads),
    THREADS_OF_NODE,
  );
  const shown = (value: number) => (value === Infinity ? "no limit" : String(value));
  const text = `the control group leaves ${shown(left)}, the user may have ${shown(userMax)}`;
  if (left >= wanted && userMax >= wanted) return ok(text);
  const todo = "raise TasksMax=, pids.max or 'ulimit -u'";
  return warn(`${text}: service and provers take up to ${wanted} with their threads, so ${todo}`);
}
