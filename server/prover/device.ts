/**
 * A device as it is configured: what proves, on which cores, how nicely, with which environment.
 * `openDevice` takes its host-wide lock and gives back how to start provers on it.
 */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import type { Addon } from "../../native/addon.js";
import type { BackendOptions } from "./backend-file.js";
import { limits } from "../limits.js";
import { lockDevice, unlockDevice } from "./device-lock.js";
import { forkProver, proverEnvironment } from "./process-prover.js";
import type { Prover } from "./prover.js";

/** Provers of a killed service need up to a second to give their memory back. */
const LOCK_WAIT_MS = 5000;
/** The prover yields to the service beside it, which needs a share of a core for acks. */
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
  /** Names the device in logs, metrics and its lock file. */
  id: z.string().regex(/^[a-z0-9-]{1,32}$/, "expected 1 to 32 of a-z 0-9 -"),
  /** Cores to prove on; empty for all that the service may use. */
  cores: cores.default([]),
  /** Niceness, -20 to 19. */
  nice: z.number().int().min(-20).max(19).default(NICE_DEFAULT),
  /** Threads of the prover; 0 for one a core. */
  threads: z.number().int().min(0).max(1024).default(0),
  /** Its own environment variables, for example to pin a GPU. */
  env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string()).default({}),
  /** `uid:gid` that its provers run as; the service must be root for it. Default: its own user. */
  user: z
    .string()
    .regex(/^\d{1,10}:\d{1,10}$/, "expected uid:gid, in numbers")
    .transform((text) => {
      const [uid = NaN, gid = NaN] = text.split(":").map(Number);
      return { uid, gid };
    })
    .optional(),
  /** Megabytes of the largest file its provers may write: a backend may keep a cache. */
  fileMb: z.number().int().min(0).max(4000).default(0),
  /**
   * Another library behind the C ABI, with its own configuration text, and the path of its
   * calibration if it has one; default lean_pq.
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
 * Two devices on one core would each take the other's time, and two of one name would wait for each
 * other's lock; undefined when there are none.
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

/** What a waiting prover and the service itself hold, in bytes; measured 0.5 GB and 0.3 GB. */
const STANDBY_BYTES = 600e6;
const SERVICE_BYTES = 500e6;

/**
 * What a prover may hold before it is replaced: as configured, and always below what the host or
 * container has, for there the kernel would choose what to kill.
 */
export function proverCeilingBytes(
  memoryBytes: number,
  devices: number,
  configuredBytes: number,
): number {
  return Math.min(configuredBytes, (memoryBytes * limits.proverMemoryPercentMax) / 100 / devices);
}

/** Standbys a device for which memory allows: 1 when every prover may grow to its ceiling. */
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
  /** Path of its backend's calibration, if it has one. */
  calibration: string | undefined;
  /** Gives the lock back; provers that still live hold it on. */
  release(): void;
}

export interface DeviceModules {
  addon: Pick<Addon, "lockFile">;
  backend: BackendOptions;
  /** The compiled `host.js`. */
  childPath: string;
  /** Where lock files lie: the same for every service of this host. */
  lockDir: string;
  env: Readonly<Record<string, string | undefined>>;
  pid: number;
  /** The service's user; undefined where there are none. */
  uid: number | undefined;
  nowMs(): number;
  sleep(ms: number): Promise<void>;
  onWait(device: string, holder: string): void;
}

/** Rejects with `DeviceLockedError` when another service has it, and when it is not to be had. */
export async function openDevice(
  device: DeviceConfig,
  modules: DeviceModules,
): Promise<OpenDevice> {
  const { id, nice, threads, user, fileMb, backend = modules.backend } = device;
  if (user !== undefined && modules.uid !== 0) {
    throw new Error(`device ${id} has a user of its own: only a service that is root can give one`);
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
  // Named by leanVM; a backend of another make takes its own from `env`.
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
