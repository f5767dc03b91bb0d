/** A prover in a process like the service's own, to compare the service with. */
import { readBackendFile } from "../../../server/prover/device/backend-file.js";
import { proverEnvironment, startForkedProver } from "../../../server/prover/forked-prover.js";
import type { Prover } from "../../../server/prover/prover.js";

/** The default niceness of provers in `serve`. */
const PROVER_NICE = 10;

/** Calls `run` with a prover that is set up, and ends it in any case. */
export async function withBareProver<T>(run: (prover: Prover) => Promise<T>): Promise<T> {
  const prover = await startForkedProver({
    deviceId: "bare",
    childPath: "dist/server/prover/child-main.js",
    backend: readBackendFile(process.cwd()),
    nice: PROVER_NICE,
    cores: [],
    env: proverEnvironment(process.env, {}),
    startTimeoutMs: 60_000,
  });
  try {
    return await run(prover);
  } finally {
    prover.kill();
    await prover.exited;
  }
}
