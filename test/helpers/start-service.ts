/** A whole service inside the test process, on free ports, with the fake prover or the real one. */
import { systemClock } from "../../server/clock.js";
import { parseConfig } from "../../server/config.js";
import { createLog } from "../../server/log.js";
import type { StartProver } from "../../server/prover/prover.js";
import { startService } from "../../server/service.js";
import type { Service } from "../../server/service.js";

let instances = 0;

export function startTestService(
  startProver: StartProver,
  settings: Record<string, unknown> = {},
): Promise<Service> {
  instances++;
  const config = parseConfig({
    listen: ["127.0.0.1:0"],
    http: "127.0.0.1:0",
    logLevel: "silent",
    ...settings,
  });
  return startService(config, {
    clock: systemClock,
    log: createLog(config.logLevel),
    startProver,
    instance: instances.toString(16).padStart(16, "0"),
    version: "test",
  });
}

/** The process id of the service's prover. */
export function proverPid(service: Service): number {
  const pid = service.proverPids()[0];
  if (pid === undefined) throw new Error("no prover process is up");
  return pid;
}
