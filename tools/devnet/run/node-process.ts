/**
 * A node's process for the orchestrator, which starts it, sends it messages, freezes, kills and restarts it.
 * It is killed when the orchestrator exits.
 */
import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { endWithProcess } from "../../harness/processes/end-with-process.js";
import type { FromNode, NodeSettings, ToNode } from "../node/messages.js";
import type { NodeRecord } from "../node/records.js";

/** One thread beside the event loop, which is the one that calls a prover in the node's process. */
const env = { ...process.env, UV_THREADPOOL_SIZE: "1" };

export class NodeProcess {
  readonly exited: Promise<number | null>;
  /** Where its metrics are, once it is set up. */
  readonly ready: Promise<number>;

  constructor(
    readonly settings: NodeSettings,
    onRecord: (record: NodeRecord) => void,
    main = fileURLToPath(new URL("../node/node-main.js", import.meta.url)),
  ) {
    this.#child = fork(main, { serialization: "advanced", env });
    const outlived = endWithProcess(() => this.signal("SIGKILL"));
    this.exited = new Promise((resolve) => this.#child.once("exit", resolve));
    void this.exited.then(outlived);
    this.ready = new Promise((resolve, reject) => {
      void this.exited.then((code) =>
        reject(new Error(`node ${settings.node} ended with code ${String(code)}`)),
      );
      this.#child.on("message", (message: FromNode) => {
        if (message.type === "ready") resolve(message.metricsPort);
        else onRecord(message.record);
      });
    });
    this.ready.catch(() => undefined); // its awaiter gets the error
    this.tell({ type: "settings", settings });
  }

  readonly #child: ChildProcess;

  tell(message: ToNode): void {
    this.#child.send(message, () => undefined); // a node that was killed hears nothing
  }

  signal(signal: "SIGSTOP" | "SIGCONT" | "SIGKILL"): void {
    this.#child.kill(signal);
  }
}
