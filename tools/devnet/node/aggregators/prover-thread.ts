/**
 * The prover in the node's own process, on a thread: what clients have today. Its memory is the
 * node's, and so is its end. Entry of the thread; asked by `in-process-prover.ts`.
 */
import { workerData, type MessagePort } from "node:worker_threads";
import { loadAddon } from "../../../../native/addon.js";
import type { ProofJob } from "../../../../server/prover/prover.js";
import type { BackendOptions } from "../../../../server/prover/device/backend-file.js";
import { threadTimes, yieldSince } from "./thread-niceness.js";

export type ProveAnswer = { proof: Uint8Array; proveMs: number } | { error: string };

export interface ProverThreadData {
  backend: BackendOptions;
  port: MessagePort;
  /** Counts answers: one who blocks waits for it to change. */
  answered: Int32Array;
  /** Niceness of the threads that prove, on Linux. 0: the node's. */
  nice: number;
}

const { backend, port, answered, nice } = workerData as ProverThreadData;

const before = nice > 0 && process.platform === "linux" ? threadTimes() : null;
const prover = await loadAddon().open(backend.library, {
  config: backend.config,
  threads: 0,
});
if (before !== null) yieldSince(before, nice);
port.postMessage("ready");
port.on("message", (job: ProofJob) => {
  const startMs = performance.now();
  prover.prove(job).then(
    (proof) => answer({ proof, proveMs: performance.now() - startMs }),
    (error: unknown) => answer({ error: String(error) }),
  );
});

function answer(message: ProveAnswer): void {
  port.postMessage(message);
  Atomics.add(answered, 0, 1);
  Atomics.notify(answered, 0);
}
