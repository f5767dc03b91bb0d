/**
 * Four nodes and what they lean on: the service where the mode has one. Starts them, starts again
 * what a fault has killed, and stops them. A process that ends unasked fails the run.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "../../harness/processes/free-ports.js";
import { ServiceProcess } from "../../harness/processes/service-process.js";
import { isServed } from "../node/aggregators/aggregator.js";
import type { NodeSettings } from "../node/messages.js";
import type { NodeRecord } from "../node/records.js";
import { endingOf, type Ending } from "./end-run.js";
import { NodeProcess } from "./node-process.js";

export interface NetworkEvents {
  onRecord(node: number, record: NodeRecord): void;
  onRestart(what: string, tookMs: number): void;
  /** A process ended unasked. */
  onFailure(error: Error): void;
  onServiceLine(line: string): void;
}

export class Network {
  readonly nodes: NodeProcess[] = [];
  service: ServiceProcess | null = null;
  #genesisUnixMs = 0;
  #isStopping = false;
  /** Killed by a fault: its end is no failure. */
  readonly #killed = new WeakSet<object>();
  /** Where its services keep their costs: a restarted one knows them, no other service does. */
  readonly #stateFolder = mkdtempSync(join(tmpdir(), "devnet-state-"));

  /** @param recording where its services record what they are asked; emptied first. Default: nowhere */
  constructor(
    private readonly events: NetworkEvents,
    private readonly recording?: string,
  ) {
    if (recording !== undefined) rmSync(recording, { recursive: true, force: true });
    const folder = this.#stateFolder;
    process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  }

  /** The address of the service in this mode; a free port, or a socket in this folder. */
  static async endpoint(mode: NodeSettings["mode"], sockets: string): Promise<string> {
    if (mode === "sidecar") return `unix:${join(sockets, "service")}`;
    const [port = 0] = await freePorts(1);
    return `127.0.0.1:${port}`;
  }

  async start(settings: readonly NodeSettings[]): Promise<void> {
    const [first] = settings;
    if (first !== undefined && isServed(first.mode)) await this.#startService(first.endpoint);
    for (const each of settings) this.nodes[each.node] = this.#startNode(each);
    await Promise.all(this.nodes.map((node) => node.ready));
  }

  beginAt(genesisUnixMs: number): void {
    this.#genesisUnixMs = genesisUnixMs;
    for (const node of this.nodes) node.tell({ type: "genesis", genesisUnixMs });
  }

  /** SIGKILL, then a new process at once, as a supervisor would; it is not waited for. */
  killNode(index: number): void {
    this.#restartNode(index).catch(this.events.onFailure);
  }

  /** As `killNode`. */
  killService(): void {
    this.#restartService().catch(this.events.onFailure);
  }

  /** Ends everything. Returns how each process ended. */
  async stop(): Promise<Ending[]> {
    this.#isStopping = true;
    for (const node of this.nodes) node.tell({ type: "stop" });
    const nodes = await Promise.all(
      this.nodes.map((node, index) =>
        endingOf(`node ${index}`, node.exited, () => node.signal("SIGKILL")),
      ),
    );
    const { service } = this;
    if (service === null) return nodes;
    const ended = service.stop().then(({ code }) => code);
    return [...nodes, await endingOf("service", ended, () => service.signal("SIGKILL"))];
  }

  /** For a run that failed: resolves once nothing is left behind. */
  async killAll(): Promise<void> {
    this.#isStopping = true;
    for (const node of this.nodes) node.signal("SIGKILL");
    await Promise.all([this.service?.kill(), ...this.nodes.map((node) => node.exited)]);
  }

  node(index: number): NodeProcess {
    const node = this.nodes[index];
    if (node === undefined) throw new Error(`there is no node ${index}`);
    return node;
  }

  async #restartNode(index: number): Promise<void> {
    const node = this.node(index);
    this.#killed.add(node);
    const startMs = performance.now();
    node.signal("SIGKILL");
    await node.exited;
    if (this.#isStopping) return;
    const next = this.#startNode(node.settings);
    this.nodes[index] = next;
    await next.ready;
    next.tell({ type: "genesis", genesisUnixMs: this.#genesisUnixMs });
    this.events.onRestart(`node ${index}`, performance.now() - startMs);
  }

  async #restartService(): Promise<void> {
    const { service } = this;
    const [first] = this.nodes;
    if (service === null || first === undefined) return;
    this.#killed.add(service);
    const startMs = performance.now();
    await service.kill();
    if (this.#isStopping) return;
    await this.#startService(first.settings.endpoint);
    this.events.onRestart("service", performance.now() - startMs);
  }

  #startNode(settings: NodeSettings): NodeProcess {
    const node = new NodeProcess(settings, (record) => this.events.onRecord(settings.node, record));
    void node.exited.then((code) => this.#onExit(node, `node ${settings.node}`, code));
    return node;
  }

  /** Resolves once it is ready; a run that fails before that has it to kill. */
  async #startService(endpoint: string): Promise<void> {
    const service = ServiceProcess.spawn({
      flags: ["--listen", endpoint, "--state-dir", this.#stateFolder],
      // A lock of its own: another service of this machine may hold the default device's.
      env: { LEAN_AGGREGATOR_DEVICES: "devnet", LEAN_AGGREGATOR_RECORD: this.recording },
      onLine: (line) => this.events.onServiceLine(line),
    });
    void service.exited.then(({ code }) => this.#onExit(service, "the service", code));
    this.service = service;
    await service.ready();
  }

  #onExit(process: object, what: string, code: number | null): void {
    if (this.#isStopping || this.#killed.has(process)) return;
    this.events.onFailure(new Error(`${what} ended with code ${String(code)}`));
  }
}
