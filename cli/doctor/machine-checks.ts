/** `doctor`'s checks of the machine: each judges what was read, and reads nothing itself. */
import type { Finding } from "./finding.js";
import { fail, ok, warn } from "./finding.js";

const GIB = 1024 ** 3;
/** A prover's peak with a few raw signatures, and room for the service. */
const MEMORY_BYTES_MIN = 1.25 * GIB;
/** A prover's peak with four children, and room for the service. */
const MEMORY_BYTES_ENOUGH = 3 * GIB;
/** Twice the service's streams of all nodes, were each node to have one connection. */
const OPEN_FILES_ENOUGH = 1024;
const CPU_FEATURES = ["avx2", "pclmulqdq"];

/** @param range of package.json's engines, such as `>=20.11`. */
export function checkNodeVersion(version: string, range: string): Finding {
  const numbers = (text: string) => (text.match(/\d+/g) ?? []).map(Number);
  const [major = 0, minor = 0] = numbers(version);
  const [majorMin = 0, minorMin = 0] = numbers(range);
  const isEnough = major > majorMin || (major === majorMin && minor >= minorMin);
  return isEnough ? ok(version) : fail(`${version} is too old: install Node.js ${range}`);
}

/** @param cpuinfo of Linux; undefined where there is none to read. */
export function checkCpuFeatures(arch: string, cpuinfo: string | undefined): Finding {
  if (arch !== "x64") return ok(`${arch}: none needed`);
  if (cpuinfo === undefined) return warn(`cannot be read here: ${CPU_FEATURES.join(", ")} needed`);
  const has = new Set(/^flags\s*:(.*)$/m.exec(cpuinfo)?.[1]?.trim().split(/\s+/));
  const missing = CPU_FEATURES.filter((feature) => !has.has(feature));
  if (missing.length === 0) return ok(CPU_FEATURES.join(", "));
  return fail(`the processor lacks ${missing.join(", ")}: use another, or let the VM pass it on`);
}

/** @param allowedList the cores as the kernel lists them, such as `0-3,8`; undefined if unknown. */
export function checkCores(
  allowed: number,
  machine: number,
  allowedList: string | undefined,
): Finding {
  const which = allowedList === undefined ? "" : ` (${allowedList})`;
  const text = `may run on ${allowed} of ${machine} cores${which}`;
  if (allowed > 1) return ok(text);
  const todo = machine > 1 ? "widen its affinity or CPU set" : "use a machine with more";
  return warn(`${text}: the prover and the service share it, ${todo}`);
}

export interface Memory {
  totalBytes: number;
  freeBytes: number;
  /** The control group's limit; 0, absurdly large or undefined when there is none. */
  limitBytes: number | undefined;
}

export function checkMemory({ totalBytes, freeBytes, limitBytes = 0 }: Memory): Finding {
  const gib = (bytes: number) => `${(bytes / GIB).toFixed(1)} GiB`;
  const isLimited = limitBytes > 0 && limitBytes < totalBytes;
  const usableBytes = isLimited ? limitBytes : totalBytes;
  const limit = isLimited ? `, limited to ${gib(limitBytes)} by the control group` : "";
  const text = `${gib(totalBytes)}, ${gib(freeBytes)} free${limit}`;
  if (usableBytes < MEMORY_BYTES_MIN)
    return fail(`${text}: a proof takes 0.8 GiB and more, give it ${gib(MEMORY_BYTES_MIN)}`);
  const children = "proofs with children take up to 2.6 GiB";
  if (usableBytes < MEMORY_BYTES_ENOUGH)
    return warn(`${text}: ${children}, give it ${gib(MEMORY_BYTES_ENOUGH)}`);
  if (freeBytes < MEMORY_BYTES_ENOUGH) return warn(`${text}: ${children}, end what else runs here`);
  return ok(text);
}

/** @param limits `/proc/self/limits`; undefined where there is none to read. */
export function checkOpenFiles(limits: string | undefined): Finding {
  const soft = /^Max open files\s+(\S+)/m.exec(limits ?? "")?.[1];
  if (soft === undefined) return warn("the limit cannot be read here: see 'ulimit -n'");
  if (soft === "unlimited" || Number(soft) >= OPEN_FILES_ENOUGH) return ok(`at most ${soft}`);
  return warn(`at most ${soft}: raise it to ${OPEN_FILES_ENOUGH}, with 'ulimit -n' or LimitNOFILE`);
}
