/**
 * The prover in the node's own process, on a thread: what clients have today. Its memory is the
 * node's, and so is its end. Entry of the thread; asked by `in-process-prover.ts`.
 */
import { workerData, type MessagePort } from "node:worker_threads";
import { loadAddon } from "../../../../native/addon.js";
import { foldOfAll } from "../../../../server/prover/prover.js";
import type { FoldInputs } from "../../../../server/prover/prover.js";
import type { BackendOptions } from "../../../../server/prover/backend-file.js";

export type ProveAsk = Omit<FoldInputs, "logInvRate">;
export type ProveAnswer = { proof: Uint8Array } | { error: string };

export interface ProverThreadData {
  backend: BackendOptions;
  port: MessagePort;
  /** Counts answers: one who blocks waits for it to change. */
  answered: Int32Array;
}

const { backend, port, answered } = workerData as ProverThreadData;

const prover = await loadAddon().open(backend.library, {
  config: backend.config,
  threads: 0,
});
port.postMessage("ready");
port.on("message", (ask: ProveAsk) => {
  prover.prove(foldOfAll(prover.describe(), { ...ask, logInvRate: 0 })).then(
    (proof) => answer({ proof }),
    (error: unknown) => answer({ error: String(error) }),
  );
});

function answer(message: ProveAnswer): void {
  port.postMessage(message);
  Atomics.add(answered, 0, 1);
  Atomics.notify(answered, 0);
}
