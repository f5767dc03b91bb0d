/** The node's side of the prover thread: asks it, and either blocks or awaits. */
import {
  MessageChannel,
  receiveMessageOnPort,
  Worker,
  type MessagePort,
} from "node:worker_threads";
import type { BackendOptions } from "../../../../server/prover/device/backend-file.js";
import type { ProofJob } from "../../../../server/prover/prover.js";
import type { VoteGroup } from "../../chain/freeze-votes.js";
import type { KeyTables, MergeAsk } from "./body-merger.js";
import { foldOf, mergeOf } from "./in-process-jobs.js";
import type { ProveAnswer, ProverThreadData } from "./prover-thread.js";

type Proved = Extract<ProveAnswer, { proof: Uint8Array }>;

export interface InProcessProverOptions {
  tables: KeyTables;
  /** A proof was made, of votes or of a body, in so many milliseconds without the jobs before it. */
  onProved(proveMs: number): void;
}

export class InProcessProver {
  /** Ends with the last job that was awaited: the thread takes one at a time, in order. */
  #queue: Promise<unknown> = Promise.resolve();

  /** `port` leads to a thread that answers each job and then adds one to `answered`: see `start`. */
  constructor(
    private readonly worker: Pick<Worker, "terminate">,
    private readonly port: MessagePort,
    private readonly answered: Int32Array,
    private readonly options: InProcessProverOptions,
  ) {}

  /** Resolves once the prover is set up (seconds). `nice`: of its threads; 0: the node's own. */
  static async start(
    backend: BackendOptions,
    nice: number,
    options: InProcessProverOptions,
  ): Promise<InProcessProver> {
    const answered = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    const { port1, port2 } = new MessageChannel();
    const workerData: ProverThreadData = { backend, port: port2, answered, nice };
    const worker = new Worker(new URL("prover-thread.js", import.meta.url), {
      workerData,
      transferList: [port2],
    });
    await new Promise((resolve, reject) => {
      port1.once("message", resolve);
      worker.once("error", reject);
    });
    return new InProcessProver(worker, port1, answered, options);
  }

  /** Stops this thread, event loop and all, until the proof is there. */
  proveBlocking(group: VoteGroup): Uint8Array {
    return this.#askBlocking(foldOf(group, this.options.tables.keys)).proof;
  }

  /** As `proveBlocking`. */
  mergeBlocking(ask: MergeAsk): Uint8Array {
    return this.#askBlocking(mergeOf(ask, this.options.tables)).proof;
  }

  async prove(group: VoteGroup): Promise<Uint8Array> {
    const { proof } = await this.#ask(foldOf(group, this.options.tables.keys));
    return proof;
  }

  /** `proveMs`: without the jobs before it. */
  merge(ask: MergeAsk): Promise<Proved> {
    return this.#ask(mergeOf(ask, this.options.tables));
  }

  async close(): Promise<void> {
    await this.worker.terminate();
  }

  #askBlocking(job: ProofJob): Proved {
    const before = Atomics.load(this.answered, 0);
    this.port.postMessage(job);
    Atomics.wait(this.answered, 0, before);
    const received = receiveMessageOnPort(this.port) as { message: ProveAnswer } | undefined;
    return this.#provedIn(received?.message ?? { error: "the prover thread gave no answer" });
  }

  #ask(job: ProofJob): Promise<Proved> {
    const proved = this.#queue.then(async () => {
      const answer = new Promise<ProveAnswer>((resolve) => this.port.once("message", resolve));
      this.port.postMessage(job);
      return this.#provedIn(await answer);
    });
    this.#queue = proved.catch(() => undefined);
    return proved;
  }

  #provedIn(answer: ProveAnswer): Proved {
    if ("error" in answer) throw new Error(answer.error);
    this.options.onProved(answer.proveMs);
    return answer;
  }
}
