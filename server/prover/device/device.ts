/**
 * A device as configured: its cores, niceness, environment and backend. `openDevice` takes its
 * machine-wide lock and returns how to start provers on it.
 */
import { join, resolve } from "node:path";
import { z } from "zod";
import type { Addon } from "../../../native/addon.js";
import type { BackendName, BackendOptions } from "./backend-file.js";
import { openCacheFolder } from "./cache-folder.js";
import type { LibraryLine } from "../child-stderr.js";
import type { FatalCall } from "../fatal-call.js";
import { defaults, limits } from "../../limits.js";
import { lockDevice, unlockDevice } from "./device-lock.js";
import { fakeDeviceSchema } from "../fake/fake-device.js";
import { forkProver, proverEnvironment } from "../forked-prover.js";
import type { ForkedProverOptions } from "../forked-prover.js";
import type { Prover } from "../prover.js";

/** Longest wait for the lock, in milliseconds: provers of a killed service need a second to end. */
const LOCK_WAIT_MS = 5000;
/** A niceness with which the prover yields to the service, which needs part of a core for calls. */
const NICE_DEFAULT = 10;

const whole = (min: number, max: number) => {
  const expected = `expected a whole number from ${min} to ${max}`;
  return z.number(expected).int(expected).min(min, expected).max(max, expected);
};
const coreNumbers = 'expected core numbers from 0 to 1023, such as "0-3,6"';
const core = z.number(coreNumbers).int(coreNumbers).min(0, coreNumbers).max(1023, coreNumbers);
const deviceName = "expected a name of 1 to 32 characters of a-z, 0-9 and -";
const prover = "expected lean_pq or lean_multisig";
const user = 'expected numbers, such as "1000:1000"';
const file = "expected the path of a file";
const cacheFolder = "expected the absolute path of a folder";

/** Takes core numbers as text, `"0-3,6"`, or as a list, `[0, 1, 2, 3, 6]`. */
const cores = z.preprocess(
  (value) => {
    if (typeof value !== "string") return value;
    return value.split(",").flatMap((part): (number | string)[] => {
      const [, first = "", last = first] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part) ?? [];
      const count = first === "" ? 0 : Number(last) - Number(first) + 1;
      if (count < 1) return [part];
      return Array.from({ length: count }, (_, at) => Number(first) + at);
    });
  },
  z.array(core, coreNumbers),
);

const deviceFields = z.strictObject({
  /** The device's name in logs, metrics and its lock file. */
  id: z.string(deviceName).regex(/^[a-z0-9-]{1,32}$/, deviceName),
  /** Cores to prove on; empty means all that the service may use. */
  cores: cores.default([]),
  /** Niceness of its provers, -20 to 19. */
  nice: whole(-20, 19).default(NICE_DEFAULT),
  /** Number of threads of a prover; 0: one for each core. A CPU quota may lower it. */
  threads: whole(0, 1024).default(0),
  /** Environment variables of its provers, for example to choose a GPU. */
  env: z
    .record(
      z
        .string()
        .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "expected a variable name of A-Z, a-z, 0-9 and _"),
      z.string("expected text"),
    )
    .default({}),
  /** `uid:gid` of its provers; only a service of root may set it. Default: the service's own. */
  user: z
    .string(user)
    .regex(/^\d{1,10}:\d{1,10}$/, user)
    .transform((text) => {
      const [uid = NaN, gid = NaN] = text.split(":").map(Number);
      return { uid, gid };
    })
    .optional(),
  /** Largest file in MB that its provers may write, for a backend with a cache; 0: no file. */
  fileMb: whole(0, 4000).default(0),
  /**
   * Folder where its library may keep files of up to `fileMb` each, for its provers' user alone; made
   * where it is missing. Default: the library is given none.
   */
  cacheFolder: z.string(cacheFolder).regex(/^\//, cacheFolder).optional(),
  /**
   * "lean_pq", or "lean_multisig", an older leanMultisig with shorter signatures, which
   * `make setup-multisig` sets up. Default: lean_pq.
   */
  prover: z.enum(["lean_pq", "lean_multisig"], prover).optional(),
  /**
   * Another library of the C ABI, its configuration text and, where it has one, the path of its
   * calibration. Default: that of `prover`.
   */
  backend: z
    .strictObject({
      library: z.string(file).min(1, file),
      config: z.string("expected the backend's configuration as text"),
      calibration: z.string(file).min(1, file).optional(),
    })
    .optional(),
  /**
   * What its fake provers stand for, with `prover` of the service "fake": the name and sizes of a proof
   * system, and times, failures and limits of its own. Such a device uses no cores.
   */
  fake: fakeDeviceSchema.optional(),
});

export const deviceSchema = deviceFields.superRefine((device, context) => {
  const problem = (key: keyof typeof device, message: string) =>
    context.addIssue({ code: "custom", path: [key], message });
  if (device.cacheFolder !== undefined && device.fileMb === 0)
    problem("cacheFolder", 'no file can be written there: set "fileMb" of the device too');
  if (device.prover !== undefined && device.backend !== undefined)
    problem("prover", 'the device has a "backend" of its own: remove one of them');
});

export type DeviceConfig = z.infer<typeof deviceSchema>;

/**
 * Describes the first conflict between devices; undefined without one. Two devices on one core
 * would slow each other down, and two of one name would wait for each other's lock.
 */
export function overlappingDevices(devices: readonly DeviceConfig[]): string | undefined {
  const ids = devices.map(({ id }) => id);
  const twice = ids.find((id, at) => ids.indexOf(id) !== at);
  if (twice !== undefined) return `two devices are named ${twice}: give each its own name`;
  const owners = new Map<number, string>();
  for (const { id, cores: own, fake } of devices) {
    if (fake !== undefined) continue;
    if (own.length === 0 && devices.length > 1) {
      return `device ${id} uses all cores: give each of several devices its own "cores"`;
    }
    for (const each of own) {
      const owner = owners.get(each);
      if (owner !== undefined)
        return `devices ${owner} and ${id} share core ${each}: give it to one of them`;
      owners.set(each, id);
    }
  }
  return undefined;
}

/** Memory of the service itself, in bytes; measured 0.3 GB. */
const SERVICE_BYTES = 500e6;

/**
 * Memory in bytes above which a prover is replaced: the configured value or, without one, an equal share of
 * half of `memoryBytes`, the memory of the machine or container, and at least `defaults.proverBytesLeast`. In any
 * case at most an equal share of 80 %: when memory runs out, the kernel chooses a process to kill.
 */
export function proverCeilingBytes(
  memoryBytes: number,
  devices: number,
  configuredBytes?: number,
): number {
  const share = memoryBytes / devices;
  const wanted = configuredBytes ?? Math.max(defaults.proverBytesLeast, share / 2);
  return Math.min(wanted, (share * limits.proverMemoryPercentMax) / 100);
}

/**
 * Bytes that memory has for the standby of each device, beside a prover of `proverBytesMax` on
 * each. Not above 0 when it has none.
 */
export function bytesForStandby(
  memoryBytes: number,
  devices: number,
  proverBytesMax: number,
): number {
  return (memoryBytes - SERVICE_BYTES) / devices - proverBytesMax;
}

export interface OpenDevice {
  /** Begins to set a prover up; returns at once. */
  startProver(): Prover;
  /** Number of cores that its provers use. */
  cores: number;
  /** What its provers load, and the path of its calibration where it has one. */
  backend: BackendOptions;
  /** Releases the lock in this process; a prover that still lives goes on holding it. */
  release(): void;
}

export interface DeviceModules {
  addon: Pick<Addon, "lockFile">;
  /** Reads a backend that this project has. Throws when it is not set up. */
  readBackend(name?: BackendName): BackendOptions;
  /** Path of the compiled `child-main.js`. */
  childPath: string;
  /** Folder of the lock files. A lock holds only between services with the same folder. */
  runtimeDir: string;
  /** Number of threads of a prover that starts now: a CPU quota may have changed. */
  threadsOf(device: DeviceConfig): number;
  /** The service's environment, from which provers get a few variables. */
  env: Readonly<Record<string, string | undefined>>;
  /** The service's process id. */
  pid: number;
  /** The service's user id; undefined on a system without user ids. */
  uid: number | undefined;
  nowMs(): number;
  sleep(ms: number): Promise<void>;
  /** Called with each line that the library of a device's prover logs. */
  onLine?(device: string, line: LibraryLine): void;
  /** Called with each call in which a prover died by itself. */
  onFatal?(fatal: FatalCall): void;
  /** Called when a prover process lives on after it was killed. */
  onStuck?(device: string, pid: number): void;
  /** Called when a device's lock is not free at first. `holder`: a process id, or "unknown". */
  onWait(device: string, holder: string): void;
}

/**
 * Takes the device's lock and resolves once it is held. Rejects with `DeviceLockedError` when
 * another service holds it, and with an `Error` when the configuration cannot be used.
 */
export async function openDevice(
  device: DeviceConfig,
  modules: DeviceModules,
): Promise<OpenDevice> {
  const { id, user } = device;
  const backend = backendOf(device, modules.readBackend);
  if (user !== undefined && modules.uid !== 0) {
    throw new Error(
      `device ${id} sets a user, which only a service that runs as root may; remove "user" or run as root`,
    );
  }
  const options = proverOptions(device, backend, modules);
  const fd = await lockDevice(
    { path: deviceLockPath(modules.runtimeDir, id), pid: modules.pid, waitMs: LOCK_WAIT_MS },
    {
      lockFile: (path) => modules.addon.lockFile(path),
      nowMs: () => modules.nowMs(),
      sleep: (ms) => modules.sleep(ms),
      onWait: (holder) => modules.onWait(id, holder),
    },
  );
  return {
    // The number of threads may have changed since the last start.
    startProver: () => forkProver({ ...options(), lockFd: fd }),
    backend,
    cores: modules.threadsOf(device),
    release: () => unlockDevice(fd),
  };
}

/**
 * The backend of a device: its own, or that of its prover. Throws when that is not set up.
 * The loader would look for a library without a slash in the system's folders, so a relative path
 * is made absolute, from the service's working folder.
 */
export function backendOf(
  { backend, prover }: DeviceConfig,
  readBackend: (name?: BackendName) => BackendOptions,
): BackendOptions {
  return backend === undefined
    ? readBackend(prover)
    : { ...backend, library: resolve(backend.library) };
}

/**
 * Returns how to fork a prover of the device at the time of the call, without its lock. Makes the
 * device's cache folder; throws an `Error` when that cannot be used.
 */
export function proverOptions(
  device: DeviceConfig,
  backend: BackendOptions,
  modules: Pick<
    DeviceModules,
    "childPath" | "env" | "threadsOf" | "onLine" | "onFatal" | "onStuck"
  >,
): () => ForkedProverOptions {
  const { childPath, env: serviceEnv, threadsOf } = modules;
  const { id, nice, cores: own, user, fileMb, cacheFolder: cache } = device;
  if (cache !== undefined) openCacheFolder(cache, user);
  let toldSetupMs = 0;
  return () => ({
    deviceId: id,
    childPath,
    backend,
    nice,
    cores: own,
    threads: threadsOf(device),
    env: proverEnvironment(serviceEnv, device.env),
    ...(user === undefined ? {} : { user }),
    fileBytesMax: Math.max(fileMb, backend.setupFileMb ?? 0) * 1e6,
    cacheFolder: cache,
    startTimeoutMs: startTimeoutMs(toldSetupMs),
    onSetUp: (setupMs) => (toldSetupMs = setupMs),
    onLine: (line) => modules.onLine?.(id, line),
    onFatal: (fatal) => modules.onFatal?.(fatal),
    onStuck: (pid) => modules.onStuck?.(id, pid),
  });
}

/**
 * Longest time for a prover's setup, in milliseconds.
 *
 * @param toldSetupMs what its library says a setup takes; 0: not said, or not known yet
 */
export function startTimeoutMs(toldSetupMs: number): number {
  if (toldSetupMs === 0) return limits.proverStartMsMax;
  const { proverToldStartMsMin: min, proverToldStartMsMax: max } = limits;
  return Math.min(Math.max(toldSetupMs * limits.proverStartTimes, min), max);
}

export function deviceLockPath(runtimeDir: string, deviceId: string): string {
  return join(runtimeDir, `lean-aggregator-${deviceId}.lock`);
}
