/** `lean-aggregator serve`: the service in the foreground until a signal ends it. */
import { randomBytes } from "node:crypto";
import { totalmem } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { loadAddon } from "../native/addon.js";
import { systemClock } from "../server/clock.js";
import type { Config } from "../server/config.js";
import type { Logger } from "../server/log.js";
import { createLog } from "../server/log.js";
import { readBackendFile, readCalibration } from "../server/prover/backend-file.js";
import { CostFiles } from "../server/lane/cost-file.js";
import { confineService } from "../server/prover/confinement.js";
import type { OpenDevice } from "../server/prover/device.js";
import { openDevice } from "../server/prover/device.js";
import { startFakeProver } from "../server/prover/fake.js";
import { readMemoryLimit } from "../server/prover/kernel-memory.js";
import type { ProveJob, StartProver } from "../server/prover/prover.js";
import { readPolicy } from "./io/read-policy.js";
import { startService } from "../server/service.js";
import type { Service } from "../server/service.js";

const FAKE_PROVE_MS = 200;
const INTERRUPTED = 1;

type Env = Readonly<Record<string, string | undefined>>;

/** The root of the package, from dist/cli. */
export const packageRoot = fileURLToPath(new URL("../../", import.meta.url));

interface Provers {
  start: StartProver;
  /** What a device is timed by; undefined where there is nothing. */
  calibrationOf(deviceId: string): ProveJob | undefined;
  /** Where the devices' learned costs are kept; the fake prover's are not. */
  costs: CostFiles | undefined;
  /** Gives the devices back. */
  release(): void;
}

/** Opens the configured devices. Rejects with `DeviceLockedError` when another service has one. */
export async function openDevices(config: Config, env: Env, log: Logger): Promise<Provers> {
  if (config.prover === "fake") {
    const start = () =>
      startFakeProver({ proveMs: () => FAKE_PROVE_MS, sleep: (ms) => delay(ms, undefined) });
    return { start, calibrationOf: () => undefined, costs: undefined, release: () => undefined };
  }
  const addon = loadAddon();
  confineService(addon);
  const modules = {
    addon,
    backend: readBackendFile(packageRoot),
    childPath: fileURLToPath(new URL("../server/prover/child-main.js", import.meta.url)),
    lockDir: config.lockDir,
    env,
    pid: process.pid,
    uid: process.getuid?.(),
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
  const start = (deviceId: string) => {
    const device = open.get(deviceId);
    if (device === undefined) throw new Error(`device ${deviceId} is not open`);
    return device.startProver();
  };
  const calibrationOf = (deviceId: string) => {
    const path = open.get(deviceId)?.calibration;
    try {
      return path === undefined ? undefined : readCalibration(path);
    } catch (cause) {
      log.warn({ device: deviceId, path, cause: String(cause) }, "calibration cannot be read");
      return undefined;
    }
  };
  const place = { folder: config.lockDir, uid: process.getuid?.() };
  const costs = new CostFiles(place, { clock: systemClock, log });
  return { start, calibrationOf, costs, release };
}

/** Starts the service and resolves with the exit code once a signal has ended it. */
export async function serve(config: Config, version: string, env: Env): Promise<number> {
  const log = createLog(config.logLevel);
  const policy = config.policy === undefined ? undefined : readPolicy(config.policy);
  // Before anything else: a signal during setup ends the service as one in operation does.
  const signals = new Signals();
  const provers = await openDevices(config, env, log);
  const service = await startService(config, {
    clock: systemClock,
    log,
    startProver: provers.start,
    calibrationOf: (deviceId) => provers.calibrationOf(deviceId),
    costStore: provers.costs,
    policy,
    memoryBytes: Math.min(totalmem(), readMemoryLimit() ?? Infinity),
    instance: randomBytes(8).toString("hex"),
    version,
  });
  const code = await signals.end(service);
  await provers.costs?.close();
  provers.release();
  return code;
}

/** The first signal drains, the second kills the provers; one that came early is not forgotten. */
class Signals {
  private count = 0;
  private onSignal = () => {};

  constructor() {
    for (const name of ["SIGTERM", "SIGINT"] as const) {
      process.on(name, () => {
        this.count++;
        this.onSignal();
      });
    }
  }

  end(service: Service): Promise<number> {
    return new Promise((resolve) => {
      this.onSignal = () => {
        if (this.count > 1) void service.kill().then(() => resolve(INTERRUPTED));
        else if (this.count === 1) void service.close().then(() => resolve(0));
      };
      this.onSignal();
    });
  }
}
