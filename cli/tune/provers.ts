/**
 * The provers that `tune` measures: real ones under the locks of this host's devices, or fake ones.
 * Every prover inherits a lock, so that the devices stay taken until the last has ended.
 */
import { readdirSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Addon } from "../../native/addon.js";
import { loadAddon } from "../../native/addon.js";
import { systemClock } from "../../server/clock.js";
import { limits } from "../../server/limits.js";
import { grantableCores } from "../../server/machine/control-group.js";
import { readBackendFile, readCalibrationVotes } from "../../server/prover/device/backend-file.js";
import { confineService } from "../../server/prover/confinement.js";
import { missingCores } from "../../server/prover/device/cores.js";
import type { DeviceConfig } from "../../server/prover/device/device.js";
import { backendOf, deviceLockPath, proverOptions } from "../../server/prover/device/device.js";
import {
  DeviceLockedError,
  lockDevice,
  lockHolder,
  unlockDevice,
} from "../../server/prover/device/device-lock.js";
import { fakeSignature, startFakeProver } from "../../server/prover/fake/fake.js";
import { fakePlan } from "../../server/prover/fake/fake-plan.js";
import { forkProver } from "../../server/prover/forked-prover.js";
import type { Prover } from "../../server/prover/prover.js";
import { folderFacts, makeRuntimeFolder, runtimeFolderOf } from "../run/folders.js";
import { CommandError, usageError } from "../io/command.js";
import { packageRoot } from "../io/package-root.js";
import type { TuneInputs } from "./inputs.js";
import { calibrationInputs } from "./inputs.js";
import type { Layout } from "./layouts.js";
import type { TuneSettings } from "./settings.js";

/** Longest wait for a lock, in milliseconds: provers of a service that has just ended need a second. */
const LOCK_WAIT_MS = 2000;
const LOCK_FILE = /^lean-aggregator-([a-z0-9-]{1,32})\.lock$/;

export interface TuneProvers {
  inputs: TuneInputs;
  startProver(layout: Layout, lane: number): Prover;
  /** Releases the locks. */
  release(): void;
}

type Env = Readonly<Record<string, string | undefined>>;

export async function openTuneProvers(
  config: TuneSettings,
  base: DeviceConfig,
  env: Env,
): Promise<TuneProvers> {
  return config.prover === "fake" ? fakeProvers(config) : realProvers(config, base, env);
}

function fakeProvers(config: TuneSettings): TuneProvers {
  const message = { root: new Uint8Array(32).fill(1), slot: 1 };
  const votes = Array.from({ length: limits.validatorsMax }, (_, at) => {
    const publicKey = new Uint8Array(Buffer.alloc(32, at + 1));
    new DataView(publicKey.buffer).setUint32(0, at);
    return { publicKey, signature: fakeSignature(publicKey, message.root, message.slot) };
  });
  const sleep = (ms: number) => delay(ms, undefined);
  return {
    inputs: calibrationInputs({ message, votes }),
    startProver: (_layout, lane) => startFakeProver({ ...fakePlan(config, lane), sleep }),
    release: () => undefined,
  };
}

async function realProvers(
  config: TuneSettings,
  base: DeviceConfig,
  env: Env,
): Promise<TuneProvers> {
  const missing = missingCores(config.devices, grantableCores());
  if (missing !== undefined) {
    throw usageError(`--devices[${missing.at}].cores ${missing.problem}`, "see 'doctor'");
  }
  const addon = loadAddon();
  const backend = backendOf(base, (name) => readBackendFile(packageRoot, name));
  const inputs = inputsOf(base.id, backend.calibration);
  confineService(addon);
  const locks = await lockAll(config, env, addon);
  const [lockFd] = locks;
  const childPath = fileURLToPath(new URL("../../server/prover/child-main.js", import.meta.url));
  return {
    inputs,
    startProver: ({ cores, threads }, lane) => {
      const own = cores[lane] ?? [];
      const device = { ...base, cores: [...own], threads };
      const threadsOf = () => threads || own.length;
      const options = proverOptions(device, backend, { childPath, env, threadsOf })();
      return forkProver({ ...options, ...(lockFd !== undefined && { lockFd }) });
    },
    release: () => locks.forEach((fd) => unlockDevice(fd)),
  };
}

function inputsOf(device: string, path: string | undefined): TuneInputs {
  const todo = "name a calibration in its backend: docs/adopt/own-prover.md says what it holds";
  if (path === undefined) {
    throw usageError(`the backend of device ${device} has no calibration to prove`, todo);
  }
  try {
    return calibrationInputs(readCalibrationVotes(path));
  } catch (cause) {
    throw usageError(cause instanceof Error ? cause.message : String(cause), todo, cause);
  }
}

/**
 * Takes the locks of the configured devices, and of all others of this host that have ever been
 * used: a service on any of them would share its cores with what is measured.
 */
async function lockAll(
  { devices, runtimeDir }: TuneSettings,
  env: Env,
  addon: Pick<Addon, "lockFile">,
): Promise<number[]> {
  const facts = folderFacts(env);
  const runtime = runtimeFolderOf(runtimeDir, facts);
  makeRuntimeFolder(runtime, facts.uid);
  const used = readdirSync(runtime.path).flatMap((file) => LOCK_FILE.exec(file)?.[1] ?? []);
  const ids = [...new Set([...devices.map(({ id }) => id), ...used])];
  const locks: number[] = [];
  const modules = {
    lockFile: (path: string) => addon.lockFile(path),
    nowMs: () => systemClock.nowMs(),
    sleep: (ms: number) => delay(ms, undefined),
    onWait: () => undefined,
  };
  try {
    for (const id of ids) {
      const path = deviceLockPath(runtime.path, id);
      locks.push(await lockDevice({ path, pid: process.pid, waitMs: LOCK_WAIT_MS }, modules));
    }
    return locks;
  } catch (cause) {
    for (const fd of locks) unlockDevice(fd);
    if (!(cause instanceof DeviceLockedError)) throw cause;
    const path = deviceLockPath(runtime.path, ids[locks.length] ?? "");
    const problem = `the process ${lockHolder(path)} proves on this host: it, or a prover of it, holds ${path}`;
    const todo = "stop it while you tune, as each would slow the other down";
    throw new CommandError(problem, todo, { cause });
  }
}
