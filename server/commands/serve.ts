/** `lean-aggregator serve`: the service in the foreground until a signal ends it. */
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock } from "../clock.js";
import type { Config } from "../config.js";
import { createLog } from "../log.js";
import { readBackendFile } from "../prover/backend-file.js";
import { startFakeProver } from "../prover/fake.js";
import { proverEnvironment, startProcessProver } from "../prover/process-prover.js";
import type { StartProver } from "../prover/prover.js";
import { startService } from "../service.js";
import type { Service } from "../service.js";

/** A cold setup takes 4 to 13 s; twice that and more on a loaded machine. */
const START_TIMEOUT_MS = 60_000;
/** The prover yields to the node and the service beside it. */
const PROVER_NICE = 10;
const FAKE_PROVE_MS = 200;

type Env = Readonly<Record<string, string | undefined>>;

/** The root of the package, from dist/server/commands. */
export const packageRoot = fileURLToPath(new URL("../../../", import.meta.url));

/** Provers of the configured kind. */
export function proverStarter(config: Config, env: Env): StartProver {
  if (config.prover === "fake") {
    const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
    return () => startFakeProver({ proveMs: () => FAKE_PROVE_MS, sleep });
  }
  const backend = readBackendFile(packageRoot);
  return (deviceId) =>
    startProcessProver({
      deviceId,
      hostPath: fileURLToPath(new URL("../prover/host.js", import.meta.url)),
      backend,
      lockPath: lockPath(deviceId),
      nice: PROVER_NICE,
      cores: [],
      env: proverEnvironment(env, {}),
      startTimeoutMs: START_TIMEOUT_MS,
    });
}

/** Host-wide, one file a device. */
export function lockPath(deviceId: string): string {
  return join(tmpdir(), `lean-aggregator-${deviceId}.lock`);
}

/** Starts the service and resolves with the exit code once a signal has ended it. */
export async function serve(config: Config, version: string, env: Env): Promise<number> {
  const log = createLog(config.logLevel);
  const starting = startService(config, {
    clock: systemClock,
    log,
    startProver: proverStarter(config, env),
    instance: randomBytes(8).toString("hex"),
    version,
  });
  return await ended(starting);
}

/** A signal counts from the first moment: setting a prover up takes seconds. */
function ended(starting: Promise<Service>): Promise<number> {
  return new Promise((resolve, reject) => {
    starting.catch(reject);
    let signals = 0;
    const onSignal = () => {
      signals++;
      if (signals === 1) {
        starting.then((service) => service.close()).then(() => resolve(0), reject);
      } else {
        void starting.then(
          (service) => service.kill(),
          () => undefined, // told above
        );
        resolve(1);
      }
    };
    process.on("SIGTERM", onSignal);
    process.on("SIGINT", onSignal);
  });
}
