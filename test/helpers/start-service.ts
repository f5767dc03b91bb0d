/** A whole service inside the test process, on free ports, with the fake prover or the real one. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { loadPolicy } from "../../server/access/policy-watch.js";
import { systemClock } from "../../server/clock.js";
import { parseConfig } from "../../server/config/config.js";
import { createLog } from "../../server/log/log.js";
import type { Machine } from "../../server/machine/machine.js";
import { readBackendFile } from "../../server/prover/device/backend-file.js";
import type { BackendName } from "../../server/prover/device/backend-file.js";
import { forkProver, proverEnvironment } from "../../server/prover/forked-prover.js";
import type { Prover } from "../../server/prover/prover.js";
import { startService } from "../../server/service.js";
import type { Service, ServiceModules } from "../../server/service.js";

let instances = 0;

/** A machine that limits nothing. */
export const testMachine: Machine = {
  memoryBytes: 8e9,
  isMemoryLimitRead: true,
  cores: 2,
  quotaCores: Infinity,
  openFilesMax: Infinity,
  tasksLeft: Infinity,
};

export type StartProver = (deviceId: string) => Prover;

/** Ready when this resolves. No standby unless the settings ask for one. */
export async function startTestService(
  startProver: StartProver,
  settings: Record<string, unknown> = {},
): Promise<Service> {
  const service = await listenTestService(startProver, settings);
  await service.ready();
  return service;
}

/**
 * With real provers, each in a process of its own.
 *
 * @param backends of each device
 */
export function startRealService(
  backends: Readonly<Record<string, BackendName>> = { cpu: "lean_pq" },
  settings: Record<string, unknown> = {},
): Promise<Service> {
  const childPath = join(process.cwd(), "dist/server/prover/child-main.js");
  if (!existsSync(childPath)) throw new Error(`${childPath} is missing; run 'make build'`);
  const env = proverEnvironment(process.env, {});
  const ids = Object.keys(backends);
  const devices = ids.map((id, at) => (ids.length === 1 ? id : { id, cores: [at] }));
  return startTestService(
    (deviceId) => {
      const backend = readBackendFile(process.cwd(), backends[deviceId]);
      const fileBytesMax = (backend.setupFileMb ?? 0) * 1e6;
      const own = { deviceId, childPath, backend, fileBytesMax };
      return forkProver({ ...own, nice: 0, cores: [], env, startTimeoutMs: 60_000 });
    },
    { devices, ...settings },
  );
}

/** The same, but it only listens when this resolves: provers may not be up, or never be. */
export function listenTestService(
  startProver: StartProver,
  settings: Record<string, unknown> = {},
  modules: Partial<ServiceModules> = {},
): Promise<Service> {
  instances++;
  const config = parseConfig({
    standby: "0",
    listen: ["127.0.0.1:0"],
    admin: "127.0.0.1:0",
    probes: "127.0.0.1:0",
    logLevel: "silent",
    ...settings,
  });
  return startService(config, {
    clock: systemClock,
    log: createLog(config.logLevel),
    devices: config.devices.map(({ id }) => ({ id, startProver: () => startProver(id) })),
    policy: config.policy === undefined ? undefined : loadPolicy(config.policy),
    readMachine: () => testMachine,
    instance: instances.toString(16).padStart(16, "0"),
    serviceId: "test-service",
    version: "test",
    ...modules,
  });
}

/** The process id of the service's prover of this role. */
export function proverPid(service: Service, role: "active" | "standby" = "active"): number {
  const pid = service.provers().find((prover) => prover.role === role)?.pid;
  if (pid === undefined) throw new Error(`no ${role} prover process is up`);
  return pid;
}
