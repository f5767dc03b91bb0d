/** Runs the service of `lean-aggregator serve` in the foreground until a signal ends it. */
import { randomBytes } from "node:crypto";
import { accessSync, closeSync, constants, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { isatty } from "node:tty";
import { fileURLToPath } from "node:url";
import { loadAddon } from "../native/addon.js";
import { systemClock } from "../server/clock.js";
import type { Config } from "../server/config.js";
import { limits } from "../server/limits.js";
import type { LogFormat, Logger } from "../server/log.js";
import { openLog } from "../server/log.js";
import { readBackendFile, readCalibration } from "../server/prover/backend-file.js";
import { CostFiles } from "../server/lane/cost-file.js";
import { confineService } from "../server/prover/confinement.js";
import type { DeviceConfig, OpenDevice } from "../server/prover/device.js";
import { openDevice } from "../server/prover/device.js";
import { startFakeProver } from "../server/prover/fake.js";
import { fakeCosts, fakePlan, planText } from "../server/prover/fake-plan.js";
import { grantableCores } from "../server/machine/control-group.js";
import { readMachine } from "../server/machine/machine.js";
import { missingCores, proverThreads } from "../server/prover/cores.js";
import { ConfigError } from "../server/config-error.js";
import type { Device } from "../server/lane/device.js";
import type { ProofRequest } from "../server/prover/prover.js";
import { startService } from "../server/service.js";
import { codeOf, fileReason } from "../server/file-reason.js";
import {
  makeFolder,
  makeRuntimeFolder,
  runtimeFolderOf,
  STATE_ADVICE,
  stateFolderOf,
} from "./folders.js";
import type { FolderFacts } from "./folders.js";
import { exitCodes } from "./io/command.js";
import type { ServiceSignals } from "./io/signals.js";
import { readPolicy, socketsNotServed } from "./policy.js";
import { serviceIdOf } from "./service-id.js";
import { reload } from "./reload.js";
import { SignalHandler } from "./service-signals.js";

type Env = Readonly<Record<string, string | undefined>>;

/** Path of the package's root. This file runs as dist/cli/run-service.js in it. */
export const packageRoot = fileURLToPath(new URL("../../", import.meta.url));

interface OpenDevices {
  devices: readonly Device[];
  /** Writes the learned costs that are not on disk yet, then releases the locks of the devices. */
  release(): Promise<void>;
}

/**
 * Opens the configured devices. Rejects with `DeviceLockedError` when another service holds one.
 */
async function openDevices(
  config: Config,
  { env, log, stateFolder }: { env: Env; log: Logger; stateFolder: () => string | undefined },
): Promise<OpenDevices> {
  if (config.prover === "fake") {
    return { devices: fakeDevices(config, log), release: () => Promise.resolve() };
  }
  const missing = missingCores(config.devices, grantableCores());
  if (missing !== undefined) {
    const { at, problem } = missing;
    throw new ConfigError([{ key: "devices", place: `[${at}].cores`, text: problem }]);
  }
  const addon = loadAddon();
  confineService(addon);
  const facts = factsOf(env);
  const runtime = runtimeFolderOf(config.runtimeDir, facts);
  makeRuntimeFolder(runtime, facts.uid);
  const modules = {
    addon,
    defaultBackend: () => readBackendFile(packageRoot),
    childPath: fileURLToPath(new URL("../server/prover/child-main.js", import.meta.url)),
    runtimeDir: runtime.path,
    threadsOf: (device: DeviceConfig) => proverThreads(device, readMachine(), config.devices),
    env,
    pid: process.pid,
    uid: facts.uid,
    nowMs: () => systemClock.nowMs(),
    sleep: (ms: number) => delay(ms, undefined),
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
    const { backend } = device;
    const calibration = calibrationAt(id, backend.calibration, log);
    const startProver = () => device.startProver();
    return { id, backend, startProver, calibration, ...(costStore && { costStore }) };
  });
  const releaseAll = async () => {
    await costStore?.close();
    release();
  };
  return { devices, release: releaseAll };
}

function fakeDevices(config: Config, log: Logger): Device[] {
  const { fakeAccepts: accepts = "own" } = config;
  const unchecked = accepts === "any" ? ", and no key or signature is checked" : "";
  log.warn(
    { accepts, ...planText(config) },
    `the prover is fake: it simulates proofs, and no result is a proof${unchecked}`,
  );
  const sleep = (ms: number) => delay(ms, undefined);
  const costStore = {
    load: () => fakeCosts(config, systemClock.nowMs()),
    save: () => undefined,
  };
  return config.devices.map(({ id }, at) => {
    const plan = fakePlan(config, at);
    return { id, costStore, startProver: () => startFakeProver({ accepts, ...plan, sleep }) };
  });
}

const factsOf = (env: Env): FolderFacts => ({
  env,
  uid: process.getuid?.(),
  temporaryFolder: tmpdir(),
});

/**
 * The state folder, made where it is missing. Undefined, with a warning in the log, when nothing can
 * be kept over restarts.
 */
function openStateFolder(config: Config, env: Env, log: Logger): string | undefined {
  const memoryOnly =
    "learned costs and the service id are kept in memory only: every start calibrates again, and " +
    "has another id";
  const folder = stateFolderOf(config.stateDir, factsOf(env));
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

/** Calls `make` once, when the value is first asked for. */
function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

/** The commit of this build, which `make build` notes beside this file; else "unknown". */
function readRevision(): string {
  try {
    return readFileSync(new URL("revision.txt", import.meta.url), "utf8").trim() || "unknown";
  } catch {
    return "unknown";
  }
}

/**
 * Reads a device's calibration, the input of a proof that is timed at start. Undefined without a
 * path, or, with a warning in the log, if the file cannot be read.
 */
function calibrationAt(
  device: string,
  path: string | undefined,
  log: Logger,
): ProofRequest | undefined {
  try {
    return path === undefined ? undefined : readCalibration(path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    log.warn({ device, path, cause: why }, "cannot use the calibration");
    return undefined;
  }
}

/** What `serve` passes to the service from its process. */
export interface RunModules {
  version: string;
  env: Env;
  signals: Pick<ServiceSignals, "listen">;
  /** Reads the settings again, for SIGHUP; undefined without a settings file. */
  readSettings: (() => Config) | undefined;
}

/**
 * Runs the service until a signal has ended it. Resolves with the exit code: an error if a second
 * signal cut the drain short. Rejects when the service cannot start.
 */
export async function runService(config: Config, modules: RunModules): Promise<number> {
  const { version, env, signals, readSettings } = modules;
  const { log, output } = openLog(config.logLevel, formatFor(env));
  logInsteadOfPrinting(log);
  process.once("exit", () => output.close(limits.logCloseMsMax));
  outliveTerminal();
  const handler = new SignalHandler({ signals, log });
  const policy = config.policy === undefined ? undefined : readPolicy(config.policy);
  for (const socket of policy === undefined ? [] : socketsNotServed(policy.policy, config)) {
    log.warn({ policy: policy?.path, socket }, "the policy names a socket that is not listened on");
  }
  // The locks of the devices may take seconds; nothing runs yet that would have to drain.
  const stopped = handler.stopAsked.then(() => undefined);
  const stateFolder = once(() => openStateFolder(config, env, log));
  const opened = await Promise.race([openDevices(config, { env, log, stateFolder }), stopped]);
  if (opened === undefined) return exitCodes.ok;
  const { devices, release } = opened;
  const random = () => randomBytes(8).toString("hex");
  const service = await startService(config, {
    clock: systemClock,
    log,
    logOutput: output,
    devices,
    policy,
    readMachine,
    instance: random(),
    serviceId: await serviceIdOf(config, { log, stateFolder, random }),
    version,
    revision: readRevision(),
  });
  const reloadFiles = () => reload(config, { log, service, readSettings });
  const code = await handler.end({ service, reload: reloadFiles });
  await release();
  return code;
}

/** For people when standard error is a terminal, in colour unless the user wants none. */
function formatFor({ NO_COLOR = "", TERM }: Env): LogFormat {
  if (!isatty(2)) return "json";
  return NO_COLOR === "" && TERM !== "dumb" ? "colored" : "plain";
}

/**
 * At its exit Node.js resets the terminal that it was started on, and aborts when that is closed; it
 * skips a descriptor that is not open.
 */
function outliveTerminal(): void {
  const terminals = [0, 1, 2].filter((fd) => isatty(fd));
  process.once("exit", () => terminals.filter((fd) => !isatty(fd)).forEach((fd) => closeSync(fd)));
}

/**
 * Logs warnings of Node.js, and the error that ends the process with exit code 1. Node.js itself
 * would print them, and a print to standard error waits for ever while nobody reads it.
 */
function logInsteadOfPrinting(log: Logger): void {
  process.removeAllListeners("warning");
  // Not the objects: a warning of listeners holds the process, with its environment.
  process.on("warning", (warning) => log.warn(errorLine(warning), "warning of Node.js"));
  process.on("uncaughtException", (error) => {
    log.error(errorLine(error), "unexpected error; the service ends");
    process.exit(exitCodes.error);
  });
}

/** What the log says of an error. Whatever else it holds may be secret, or have no end. */
function errorLine(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) };
  const { name, message, stack, cause } = error;
  const code = codeOf(error);
  return { name, message, code, stack, ...(cause !== undefined && { cause: String(cause) }) };
}
