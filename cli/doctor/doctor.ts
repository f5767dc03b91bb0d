/** Runs the checks of `lean-aggregator doctor`: what does `serve` lack on this machine? */
import { readFileSync } from "node:fs";
import { cpus, freemem, loadavg, totalmem } from "node:os";
import type { CommandModules } from "../io/command.js";
import { exitCodes } from "../io/command.js";
import type { Config } from "../../server/config/config.js";
import { checkAddress } from "./address-check.js";
import type { Finding } from "./finding.js";
import {
  checkCores,
  checkCpuFeatures,
  checkLoad,
  checkMemory,
  checkNodeVersion,
  checkOpenFiles,
  checkTasks,
} from "./machine-checks.js";
import {
  checkAddon,
  checkBackend,
  checkConfinement,
  checkDeviceLock,
  checkVerification,
} from "./prover-checks.js";
import { deviceLockPath } from "../../server/prover/device/device.js";
import type { DeviceConfig } from "../../server/prover/device/device.js";
import { readBackendFile } from "../../server/prover/device/backend-file.js";
import type { BackendName } from "../../server/prover/device/backend-file.js";
import { grantableCores } from "../../server/machine/control-group.js";
import { processLimit, readMachine } from "../../server/machine/machine.js";
import type { Machine } from "../../server/machine/machine.js";
import { standbyBytesMax, threadsText, usesLeanPq } from "../../server/machine-watch.js";
import { missingCores, proverThreads } from "../../server/prover/device/cores.js";
import { packageRoot } from "../io/package-root.js";
import { folderFacts, runtimeFolderOf, stateFolderOf } from "../run/folders.js";
import { checkAudit, checkPolicy, checkTls } from "./file-checks.js";
import {
  checkFatalFolder,
  checkRecordFolder,
  checkRuntimeFolder,
  checkStateFolder,
} from "./folder-checks.js";
import { checkLibrary, checkProofSystems } from "./library-check.js";
import type { LibraryCheck } from "./library-check.js";

export type DoctorModules = Pick<CommandModules, "env" | "nodeRange" | "terminal">;
type Check = readonly [name: string, finding: Finding];

/**
 * Checks what `serve` needs with these settings, and prints the findings. Resolves with the exit
 * code: 1 if a check failed, otherwise 0.
 */
export async function doctor(
  config: Config,
  { env, nodeRange, terminal }: DoctorModules,
): Promise<number> {
  const machine = readMachine();
  const checks: Check[] = [
    ...machineChecks(config, machine, nodeRange),
    ...(await proverChecks(config, machine, { env, terminal })),
  ];
  if (config.policy !== undefined) checks.push(["policy", checkPolicy(config.policy, config)]);
  if (config.tlsCertificate !== undefined) checks.push(["TLS", await checkTls(config, Date.now())]);
  if (config.audit !== undefined) checks.push(["audit", checkAudit(config.audit)]);
  if (config.record !== undefined) {
    checks.push(["recording", checkRecordFolder(config.record, config.recordMb)]);
  }
  const isKept = config.prover !== "fake" && config.devices.length > 0;
  if (isKept && config.keepFatal !== undefined) {
    checks.push(["fatal calls", checkFatalFolder(config.keepFatal)]);
  }
  if (config.engine.length > 0) checks.push(...(await engineChecks(config)));
  const tlsOf = (address: string) =>
    address.startsWith("unix:") ? undefined : config.tlsCertificate;
  for (const address of config.listen) {
    checks.push(["listen", await checkAddress(address, "nodes", tlsOf(address))]);
  }
  if (config.probes !== "off") {
    checks.push(["probes", await checkAddress(config.probes, "probes")]);
  }
  if (config.admin !== "off") {
    checks.push(["admin", await checkAddress(config.admin, "operator")]);
  }
  terminal.out(report(checks));
  return checks.some(([, { level }]) => level === "fail") ? exitCodes.error : exitCodes.ok;
}

async function engineChecks(config: Config): Promise<Check[]> {
  const { serviceId: id, devices } = config;
  // Loaded only here, as the package of NATS is with it.
  const { checkEngine } = await import("./engine-checks.js");
  const role = { role: "door", id, isNeeded: devices.length === 0 } as const;
  return checkEngine(config, role, Date.now());
}

/** Formats one line for each check: level, name and text. */
export function report(checks: readonly Check[]): string {
  const width = Math.max(...checks.map(([name]) => name.length));
  const lines = checks.map(([name, { level, text }]) => {
    const word = level === "ok" ? "ok" : level.toUpperCase();
    return `${word.padEnd(4)}  ${name.padEnd(width)}  ${text}\n`;
  });
  return lines.join("");
}

function machineChecks(config: Config, machine: Machine, nodeRange: string): Check[] {
  const allowedList = /^Cpus_allowed_list:\s*(\S+)/m.exec(read("/proc/self/status") ?? "")?.[1];
  const { cores, quotaCores, memoryBytes } = machine;
  const missing = missingCores(config.devices, grantableCores());
  const coresFacts = {
    allowed: cores,
    machine: cpus().length,
    allowedList,
    quotaCores,
    threads: threadsText(config, machine),
    missing: missing && `device ${config.devices[missing.at]?.id ?? ""} ${missing.problem}`,
  };
  const memory = {
    usesLeanPq: usesLeanPq(config),
    totalBytes: totalmem(),
    freeBytes: freemem(),
    usableBytes: memoryBytes,
  };
  const threads = config.devices.map((each) => proverThreads(each, machine, config.devices));
  const tasks = { left: machine.tasksLeft, userMax: processLimit("Max processes") };
  const cpuFeatures: Check = [
    "CPU features",
    checkCpuFeatures(process.arch, read("/proc/cpuinfo")),
  ];
  return [
    ["Node.js", checkNodeVersion(process.versions.node, nodeRange)],
    ...(usesLeanPq(config) ? [cpuFeatures] : []),
    ["cores", checkCores(coresFacts)],
    ["load", checkLoad(loadavg()[0] ?? 0, cores)],
    ["memory", checkMemory(memory)],
    ["open files", checkOpenFiles(machine.openFilesMax, config.devices.length)],
    ["processes", checkTasks(tasks, threads)],
  ];
}

/**
 * Checks what provers need. No checks for the fake prover, which has no addon, backend or lock; those
 * of the service alone where it has no devices.
 */
async function proverChecks(
  config: Config,
  machine: Machine,
  { env, terminal }: Pick<DoctorModules, "env" | "terminal">,
): Promise<Check[]> {
  const { prover, devices, runtimeDir, stateDir } = config;
  if (prover === "fake") return [];
  const { platform } = process;
  const facts = folderFacts(env);
  const addon: Check = ["native addon", checkAddon()];
  const state: Check = [
    "state folder",
    checkStateFolder(stateFolderOf(stateDir, facts), facts.uid),
  ];
  if (devices.length === 0) return [addon, state];
  const runtime = runtimeFolderOf(runtimeDir, facts);
  const modules = {
    readBackend: (name?: BackendName) => readBackendFile(packageRoot, name),
    threadsOf: (device: DeviceConfig) => proverThreads(device, machine, devices),
    env,
    terminal,
  };
  const runtimeFolder = checkRuntimeFolder(runtime, facts.uid);
  const checks: Check[] = [];
  const libraries: LibraryCheck[] = [];
  for (const device of devices) {
    const name = `device ${device.id}`;
    if (runtimeFolder.level !== "fail") {
      const lock = checkDeviceLock(deviceLockPath(runtime.path, device.id));
      checks.push([name, lock]);
      // A second prover would disturb the one in use, and might not fit in memory beside it.
      if (lock.level === "warn") continue;
    }
    const check = await checkLibrary(device, modules);
    libraries.push(check);
    checks.push([name, check.finding]);
  }
  const systems = checkProofSystems(libraries);
  const setupBytes = libraries.flatMap(({ loaded }) => loaded?.residentBytes ?? []);
  const room = standbyBytesMax({ ...config, standby: "auto" }, machine.memoryBytes);
  const wanted = standbyBytesMax(config, machine.memoryBytes);
  return [
    addon,
    ...(usesLeanPq(config) ? [["backend", checkBackend(packageRoot)] satisfies Check] : []),
    ["confinement", checkConfinement({ platform, uid: process.getuid?.(), devices })],
    ["runtime folder", runtimeFolder],
    state,
    ...checks,
    ...(systems === undefined ? [] : [["proof system", systems] satisfies Check]),
    ["verification", checkVerification(wanted, room, setupBytes)],
  ];
}

/** Returns the file's text; undefined if it cannot be read, as on another system. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
