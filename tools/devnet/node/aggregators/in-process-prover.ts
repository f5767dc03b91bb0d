/** The node's side of the prover thread: asks it, and either blocks or awaits. One at a time. */
import {
  MessageChannel,
  receiveMessageOnPort,
  Worker,
  type MessagePort,
} from "node:worker_threads";
import type { BackendOptions } from "../../../../server/prover/backend-file.js";
import type { VoteGroup } from "../../chain/freeze-votes.js";
import type { ProveAnswer, ProveAsk, ProverThreadData } from "./prover-thread.js";

export class InProcessProver {
  private constructor(
    private readonly worker: Worker,
    private readonly port: MessagePort,
    private readonly answered: Int32Array,
    private readonly keys: readonly Uint8Array[],
  ) {}

  /** Resolves once the prover is set up (seconds). `keys` by validator. */
  static async start(
    backend: BackendOptions,
    keys: readonly Uint8Array[],
  ): Promise<InProcessProver> {
    const answered = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    const { port1, port2 } = new MessageChannel();
    const workerData: ProverThreadData = { backend, port: port2, answered };
    const worker = new Worker(new URL("prover-thread.js", import.meta.url), {
      workerData,
      transferList: [port2],
    });
    await new Promise((resolve, reject) => {
      port1.once("message", resolve);
      worker.once("error", reject);
    });
    return new InProcessProver(worker, port1, answered, keys);
  }

  /** Stops this thread, event loop and all, until the proof is there. */
  proveBlocking(group: VoteGroup): Uint8Array {
    const before = Atomics.load(this.answered, 0);
    this.port.postMessage(this.#ask(group));
    Atomics.wait(this.answered, 0, before);
    const received = receiveMessageOnPort(this.port) as { message: ProveAnswer } | undefined;
    return proofOf(received?.message ?? { error: "the prover thread gave no answer" });
  }

  async prove(group: VoteGroup): Promise<Uint8Array> {
    const answer = new Promise<ProveAnswer>((resolve) => this.port.once("message", resolve));
    this.port.postMessage(this.#ask(group));
    return proofOf(await answer);
  }

  async close(): Promise<void> {
    await this.worker.terminate();
  }

  #ask({ data, message, raws, children }: VoteGroup): ProveAsk {
    const keysOf = (validators: readonly number[]) =>
      Buffer.concat(validators.map((validator) => this.keys[validator] ?? new Uint8Array()));
    const signatures = Buffer.concat(raws.map(({ signature }) => signature));
    const claims = children.map(({ participants, proof }) => ({
      proof,
      keys: new Uint8Array(keysOf(participants.getTrueBitIndexes())),
    }));
    return {
      message: { root: message, slot: data.slot },
      keys: new Uint8Array(keysOf(raws.map(({ validator }) => validator))),
      signatures: new Uint8Array(signatures),
      children: claims,
    };
  }
}

function proofOf(answer: ProveAnswer): Uint8Array {
  if ("error" in answer) throw new Error(answer.error);
  return answer.proof;
}
