/**
 * A device as configured: its cores, niceness, environment and backend. `openDevice` takes its
 * machine-wide lock and returns how to start provers on it.
 */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import type { Addon } from "../../native/addon.js";
import type { BackendOptions } from "./backend-file.js";
import { limits } from "../limits.js";
import { lockDevice, unlockDevice } from "./device-lock.js";
import { forkProver, proverEnvironment } from "./forked-prover.js";
import type { Prover } from "./prover.js";

/** Provers of a killed service need up to a second to end and free their memory. */
const LOCK_WAIT_MS = 5000;
/** The prover yields to the service beside it, which needs part of a core to answer calls. */
const NICE_DEFAULT = 10;

const core = z.number().int().min(0).max(1023);

/** `"0-3,6"` as well as `[0, 1, 2, 3, 6]`. */
const cores = z.preprocess(
  (value) => {
    if (typeof value !== "string") return value;
    return value.split(",").flatMap((part) => {
      const [, first = "", last = first] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part) ?? [];
      const count = first === "" ? 0 : Number(last) - Number(first) + 1;
      if (count < 1) return [NaN];
      return Array.from({ length: count }, (_, at) => Number(first) + at);
    });
  },
  z.array(core, "expected core numbers, for example 0-3,6"),
);

export const deviceSchema = z.strictObject({
  /** The device's name in logs, metrics and its lock file. */
  id: z.string().regex(/^[a-z0-9-]{1,32}$/, "expected 1 to 32 of a-z 0-9 -"),
  /** Cores to prove on; empty means all that the service may use. */
  cores: cores.default([]),
  /** Niceness, -20 to 19. */
  nice: z.number().int().min(-20).max(19).default(NICE_DEFAULT),
  /** Threads of the prover; 0 means one for each core. */
  threads: z.number().int().min(0).max(1024).default(0),
  /** Environment variables of its provers, for example to choose a GPU. */
  env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string()).default({}),
  /** `uid:gid` of its provers; only a service that runs as root may set it. Default: its own. */
  user: z
    .string()
    .regex(/^\d{1,10}:\d{1,10}$/, "expected uid:gid, in numbers")
    .transform((text) => {
      const [uid = NaN, gid = NaN] = text.split(":").map(Number);
      return { uid, gid };
    })
    .optional(),
  /** Largest file in MB that its provers may write, for a backend that keeps a cache. */
  fileMb: z.number().int().min(0).max(4000).default(0),
  /**
   * Another library of the C ABI, its configuration text and, where it has one, the path of its
   * calibration. Default: lean_pq.
   */
  backend: z
    .strictObject({
      library: z.string().min(1),
      config: z.string(),
      calibration: z.string().min(1).optional(),
    })
    .optional(),
});

export type DeviceConfig = z.infer<typeof deviceSchema>;

/**
 * Describes the first conflict between devices; undefined without one. Two devices on one core
 * would slow each other down, and two of one name would wait for each other's lock.
 */
export function overlappingDevices(devices: readonly DeviceConfig[]): string | undefined {
  const owners = new Map<number, string>();
  for (const [at, { id, cores: own }] of devices.entries()) {
    if (devices.slice(0, at).some((other) => other.id === id)) return `two devices are named ${id}`;
    if (own.length === 0 && devices.length > 1) {
      return `${id} is on all cores; with several devices each must name its own`;
    }
    for (const each of own) {
      const owner = owners.get(each);
      if (owner !== undefined) return `${id} and ${owner} both use core ${each}`;
      owners.set(each, id);
    }
  }
  return undefined;
}

/** Memory of a standby and of the service itself, in bytes; measured 0.5 GB and 0.3 GB. */
const STANDBY_BYTES = 600e6;
const SERVICE_BYTES = 500e6;

/**
 * Memory in bytes above which a prover is replaced: the configured value, but never all that the
 * machine or container has, where the kernel would choose a process to kill.
 */
export function proverCeilingBytes(
  memoryBytes: number,
  devices: number,
  configuredBytes: number,
): number {
  return Math.min(configuredBytes, (memoryBytes * limits.proverMemoryPercentMax) / 100 / devices);
}

/** Standbys for each device: 1 when every prover can grow to its ceiling beside one, else 0. */
export function standbysThatFit(
  memoryBytes: number,
  devices: number,
  proverBytesMax: number,
): 0 | 1 {
  const needed = SERVICE_BYTES + devices * (proverBytesMax + STANDBY_BYTES);
  return memoryBytes >= needed ? 1 : 0;
}

export interface OpenDevice {
  startProver(): Prover;
  /** Path of the backend's calibration; undefined when it has none. */
  calibration: string | undefined;
  /** Releases the lock here; a prover that still lives holds it. */
  release(): void;
}

export interface DeviceModules {
  addon: Pick<Addon, "lockFile">;
  backend: BackendOptions;
  /** Path of the compiled `child-main.js`. */
  childPath: string;
  /** Folder of the lock files, the same for every service of this machine. */
  lockDir: string;
  env: Readonly<Record<string, string | undefined>>;
  pid: number;
  /** The service's user id; undefined on a system without them. */
  uid: number | undefined;
  nowMs(): number;
  sleep(ms: number): Promise<void>;
  onWait(device: string, holder: string): void;
}

/**
 * Takes the device's lock. Rejects with `DeviceLockedError` when another service holds it, and with
 * an `Error` when the configuration cannot be used.
 */
export async function openDevice(
  device: DeviceConfig,
  modules: DeviceModules,
): Promise<OpenDevice> {
  const { id, nice, threads, user, fileMb, backend = modules.backend } = device;
  if (user !== undefined && modules.uid !== 0) {
    throw new Error(
      `device ${id} sets a user, which only a service that runs as root may; remove "user" or run as root`,
    );
  }
  const fd = await lockDevice(
    { path: deviceLockPath(modules.lockDir, id), pid: modules.pid, waitMs: LOCK_WAIT_MS },
    {
      lockFile: (path) => modules.addon.lockFile(path),
      nowMs: () => modules.nowMs(),
      sleep: (ms) => modules.sleep(ms),
      onWait: (holder) => modules.onWait(id, holder),
    },
  );
  const count = threads === 0 ? device.cores.length || availableParallelism() : threads;
  // leanVM's variable; another backend gets its own from `env`.
  const env = { LEANVM_NUM_THREADS: String(count), ...device.env };
  return {
    startProver: () =>
      forkProver({
        deviceId: id,
        childPath: modules.childPath,
        backend,
        lockFd: fd,
        nice,
        cores: device.cores,
        env: proverEnvironment(modules.env, env),
        ...(user === undefined ? {} : { user }),
        fileBytesMax: fileMb * 1e6,
        startTimeoutMs: limits.proverStartMsMax,
      }),
    calibration: backend.calibration,
    release: () => unlockDevice(fd),
  };
}

export function deviceLockPath(lockDir: string, deviceId: string): string {
  return join(lockDir, `lean-aggregator-${deviceId}.lock`);
}
