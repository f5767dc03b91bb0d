/** Opens the devices of `serve` and `prove`: their locks, their learned costs, their provers. */
import { accessSync, constants } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { loadAddon } from "../../native/addon.js";
import { systemClock } from "../../server/clock.js";
import type { Config } from "../../server/config/config.js";
import { ConfigError } from "../../server/config/config-error.js";
import { fileReason } from "../../server/files/file-reason.js";
import { CostFiles } from "../../server/lane/costs/cost-file.js";
import type { Device } from "../../server/lane/device.js";
import type { Logger } from "../../server/log/log.js";
import { grantableCores } from "../../server/machine/control-group.js";
import { readMachine } from "../../server/machine/machine.js";
import { readBackendFile, readCalibration } from "../../server/prover/device/backend-file.js";
import type { BackendName } from "../../server/prover/device/backend-file.js";
import { confineService } from "../../server/prover/confinement.js";
import { missingCores, proverThreads } from "../../server/prover/device/cores.js";
import type { DeviceConfig, OpenDevice } from "../../server/prover/device/device.js";
import { openDevice } from "../../server/prover/device/device.js";
import type { LibraryLine } from "../../server/prover/child-stderr.js";
import type { FatalCall } from "../../server/prover/fatal-call.js";
import { FatalCalls } from "../../server/prover/fatal-calls.js";
import { startFakeProver } from "../../server/prover/fake/fake.js";
import { fakeDeviceOptions } from "../../server/prover/fake/fake-device.js";
import { fakeCosts, fakePlan, planText } from "../../server/prover/fake/fake-plan.js";
import type { FoldInputs } from "../../server/prover/prover.js";
import { checkDevicePlaces } from "../doctor/device-places.js";
import { usageError } from "../io/command.js";
import { packageRoot } from "../io/package-root.js";
import {
  folderFacts,
  makeFolder,
  makeRuntimeFolder,
  runtimeFolderOf,
  STATE_ADVICE,
  stateFolderOf,
} from "./folders.js";

type Env = Readonly<Record<string, string | undefined>>;

/** The settings that devices depend on. */
export type DeviceSettings = Pick<
  Config,
  | "prover"
  | "devices"
  | "runtimeDir"
  | "keepFatal"
  | "fakeAccepts"
  | "fakeTime"
  | "fakeSeed"
  | "fakeFailures"
  | "fakeLimits"
>;

export interface DevicesModules {
  env: Env;
  log: Logger;
  /** Returns the state folder, which exists; undefined, after a warning, when none can be used. */
  stateFolder(): string | undefined;
}

export interface OpenDevices {
  devices: readonly Device[];
  /** Writes the learned costs that are not on disk yet, then releases the locks of the devices. */
  release(): Promise<void>;
}

/**
 * Opens the configured devices. Rejects with `DeviceLockedError` when another service holds one.
 */
export async function openDevices(
  config: DeviceSettings,
  { env, log, stateFolder }: DevicesModules,
): Promise<OpenDevices> {
  if (config.devices.length === 0) return { devices: [], release: () => Promise.resolve() };
  if (config.prover === "fake") {
    return { devices: fakeDevices(config, log), release: () => Promise.resolve() };
  }
  checkCores(config);
  const facts = folderFacts(env);
  const addon = loadAddon();
  confineService(addon);
  const runtime = runtimeFolderOf(config.runtimeDir, facts);
  makeRuntimeFolder(runtime, facts.uid);
  const fatalCalls = fatalCallsIn(config.keepFatal, log);
  // After the folders that are made here: a cache folder may be in one of them.
  checkDevicePlaces(config, facts.uid);
  const modules = {
    addon,
    readBackend: (name?: BackendName) => readBackendFile(packageRoot, name),
    childPath: fileURLToPath(new URL("../../server/prover/child-main.js", import.meta.url)),
    runtimeDir: runtime.path,
    threadsOf: (device: DeviceConfig) => proverThreads(device, readMachine(), config.devices),
    env,
    pid: process.pid,
    uid: facts.uid,
    nowMs: () => systemClock.nowMs(),
    sleep: (ms: number) => delay(ms, undefined),
    onLine: (device: string, line: LibraryLine) => logLine(log, device, line),
    onFatal: (fatal: FatalCall) => fatalCalls?.keep(fatal),
    onStuck: (device: string, pid: number) => logStuck(log, device, pid),
    onWait: (device: string, holder: string) =>
      log.warn({ device, holder }, "device is locked; waiting for it"),
  };
  const open = new Map<string, OpenDevice>();
  const release = () => open.forEach((device) => device.release());
  try {
    for (const device of config.devices) open.set(device.id, await openDevice(device, modules));
  } catch (error) {
    release();
    throw error;
  }
  const folder = stateFolder();
  const { uid } = facts;
  const costStore =
    folder === undefined ? undefined : new CostFiles({ folder, uid }, { clock: systemClock, log });
  const devices = [...open].map(([id, device]): Device => {
    const { backend, cores } = device;
    const calibration = calibrationAt(id, backend.calibration, log);
    const startProver = () => device.startProver();
    return { id, cores, backend, startProver, calibration, ...(costStore && { costStore }) };
  });
  const releaseAll = async () => {
    await costStore?.close();
    await fatalCalls?.close();
    release();
  };
  return { devices, release: releaseAll };
}

function checkCores({ devices }: Pick<Config, "devices">): void {
  const missing = missingCores(devices, grantableCores());
  if (missing === undefined) return;
  const { at, problem } = missing;
  throw new ConfigError([{ key: "devices", place: `[${at}].cores`, text: problem }]);
}

/**
 * Where calls are kept in which provers died; undefined: nowhere. Makes the folder. Throws
 * `CommandError` when it cannot be used.
 */
function fatalCallsIn(folder: string | undefined, log: Logger): FatalCalls | undefined {
  if (folder === undefined) return undefined;
  try {
    makeFolder(folder);
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (cause) {
    const problem = `cannot keep calls in --keep-fatal ${folder}: ${fileReason(cause, folder)}`;
    throw usageError(problem, "name a folder that this user may write to", cause);
  }
  return new FatalCalls(folder, log);
}

/** Puts a line of a library's log into that of the service. */
function logLine(log: Logger, device: string, { level, text, dropped }: LibraryLine): void {
  log[level]({ device, line: text, ...(dropped > 0 && { dropped }) }, "the library logs");
}

/** Until it ends, it takes the memory and the cores of the next prover. */
function logStuck(log: Logger, device: string, pid: number): void {
  const todo = "look at what the process waits for, or end it as root";
  log.warn({ device, pid, todo }, "a prover process lives on after it was killed");
}

function fakeDevices(config: DeviceSettings, log: Logger): Device[] {
  const { fakeAccepts: accepts = "own" } = config;
  const unchecked = accepts === "any" ? ", and no key or signature is checked" : "";
  log.warn(
    { accepts, ...planText(config) },
    `the prover is fake: it simulates proofs, and no result is a proof${unchecked}`,
  );
  const sleep = (ms: number) => delay(ms, undefined);
  return config.devices.map(({ id, fake }, at) => {
    const { prover, plan: settings } = fakeDeviceOptions(config, fake);
    const costs = () => fakeCosts(settings, systemClock.nowMs());
    const plan = fakePlan(settings, at);
    return {
      id,
      backend: { library: "fake", config: JSON.stringify(prover) },
      costStore: { load: () => ({ costs: costs(), memory: [] }), save: () => undefined },
      startProver: () => startFakeProver({ ...prover, ...plan, sleep }),
    };
  });
}

/**
 * Reads a device's calibration, the input of a proof that is timed at start. Undefined without a
 * path, or, with a warning in the log, if the file cannot be read.
 */
function calibrationAt(
  device: string,
  path: string | undefined,
  log: Logger,
): FoldInputs | undefined {
  try {
    return path === undefined ? undefined : readCalibration(path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    log.warn({ device, path, cause: why }, "cannot use the calibration");
    return undefined;
  }
}

/**
 * Returns a function that returns the state folder, and makes it at the first call where it is
 * missing. Undefined, with a warning in the log, when nothing can be kept over restarts.
 */
export function stateFolderFor(
  settings: Pick<Config, "stateDir">,
  { env, log }: Pick<DevicesModules, "env" | "log">,
): () => string | undefined {
  let made: { folder: string | undefined } | undefined;
  return () => (made ??= { folder: openStateFolder(settings, env, log) }).folder;
}

function openStateFolder(
  { stateDir }: Pick<Config, "stateDir">,
  env: Env,
  log: Logger,
): string | undefined {
  const memoryOnly =
    "learned costs and the service id are kept in memory only: every start calibrates again, and " +
    "has another id";
  const folder = stateFolderOf(stateDir, folderFacts(env));
  if (folder === undefined) {
    log.warn({ cause: "this user has no home folder", todo: STATE_ADVICE }, memoryOnly);
    return undefined;
  }
  try {
    makeFolder(folder);
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    log.warn({ path: folder, cause: fileReason(error, folder), todo: STATE_ADVICE }, memoryOnly);
    return undefined;
  }
  return folder;
}
