/** `doctor`'s checks of the machine. Each judges values that `doctor.ts` has read. */
import type { Finding } from "./finding.js";
import { fail, ok, warn } from "./finding.js";

const GIB = 1024 ** 3;
/** Peak memory of a prover with a few raw signatures, and the service's. */
const MEMORY_BYTES_MIN = 1.25 * GIB;
/** Peak memory of a prover with four children, and the service's. */
const MEMORY_BYTES_ENOUGH = 3 * GIB;
/** Twice the connections that the nodes' listener accepts: each takes one file descriptor. */
const OPEN_FILES_ENOUGH = 1024;
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

/**
 * @param allowed number of cores on which this process may run
 * @param machine number of cores of the machine
 * @param allowedList the allowed cores as the kernel lists them, such as `0-3,8`; undefined if
 * unknown
 */
export function checkCores(
  allowed: number,
  machine: number,
  allowedList: string | undefined,
): Finding {
  const which = allowedList === undefined ? "" : ` (${allowedList})`;
  const text = `may run on ${allowed} of ${machine} cores${which}`;
  if (allowed > 1) return ok(text);
  const todo = machine > 1 ? "widen the CPU affinity or cpuset" : "use a machine with more cores";
  return warn(`${text}, which prover and service share: ${todo}`);
}

export interface Memory {
  totalBytes: number;
  freeBytes: number;
  /** The control group's limit; 0, very large or undefined without a limit. */
  limitBytes: number | undefined;
}

export function checkMemory({ totalBytes, freeBytes, limitBytes = 0 }: Memory): Finding {
  const gib = (bytes: number) => `${(bytes / GIB).toFixed(1)} GiB`;
  const isLimited = limitBytes > 0 && limitBytes < totalBytes;
  const usableBytes = isLimited ? limitBytes : totalBytes;
  const limit = isLimited ? `, limited to ${gib(limitBytes)} by the control group` : "";
  const text = `${gib(totalBytes)}, ${gib(freeBytes)} free${limit}`;
  if (usableBytes < MEMORY_BYTES_MIN)
    return fail(
      `${text}: a proof takes 0.8 GiB or more, so allow at least ${gib(MEMORY_BYTES_MIN)}`,
    );
  const children = "proofs with children take up to 2.6 GiB";
  if (usableBytes < MEMORY_BYTES_ENOUGH)
    return warn(`${text}: ${children}, so allow ${gib(MEMORY_BYTES_ENOUGH)}`);
  if (freeBytes < MEMORY_BYTES_ENOUGH) return warn(`${text}: ${children}, so stop other programs`);
  return ok(text);
}

/** @param limits the text of /proc/self/limits; undefined if it is missing */
export function checkOpenFiles(limits: string | undefined): Finding {
  const soft = /^Max open files\s+(\S+)/m.exec(limits ?? "")?.[1];
  if (soft === undefined)
    return warn(
      `the limit cannot be read here: check that 'ulimit -n' is ${OPEN_FILES_ENOUGH} or more`,
    );
  if (soft === "unlimited" || Number(soft) >= OPEN_FILES_ENOUGH) return ok(`at most ${soft}`);
  return warn(
    `at most ${soft}: raise the limit to ${OPEN_FILES_ENOUGH} with 'ulimit -n' or LimitNOFILE`,
  );
}
