/**
 * The pinned nats-server in processes of its own: one, or a cluster on this machine. Each takes
 * ports that are free, and keeps them when it is started again.
 */
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { accessSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { endWithProcess } from "./end-with-process.js";
import { freePorts } from "./free-ports.js";
import { processFolder } from "./process-folder.js";

/** The installed program. */
export const NATS_SERVER = join(process.cwd(), "build/nats-server/bin/nats-server");
const SETUP = join(process.cwd(), "tools/fleet/setup-nats.mjs");
const START_TIMEOUT_MS = 20_000;
const POLL_MS = 5;
/** A server that stands still answers never. */
const ANSWER_MS_MAX = 1000;

export interface NatsOptions {
  /** Default: 1. */
  readonly servers?: 1 | 3;
  /** PEM files: TLS for clients, who need a certificate of `ca`. Default: plain text. */
  readonly tls?: { readonly ca: string; readonly certificate: string; readonly key: string };
  /** File with more of the server's configuration, such as its permissions. */
  readonly include?: string;
  /** More of the server's configuration, such as `max_payload: 4096`. */
  readonly config?: string;
  /** Ctrl-C in a terminal then reaches this process alone. Default: false. */
  readonly hasOwnSession?: boolean;
}

export interface Nats {
  /** One URL for each server, at the host name `localhost`. */
  readonly urls: readonly string[];
  /** Process ids of the servers. */
  readonly pids: readonly number[];
  /** `frozen`: its process stands still. */
  state(at: number): "running" | "frozen" | "ended";
  /** Ends the server at once, as a crash would; resolves when it has ended. */
  kill(at: number): Promise<void>;
  /** Ends the server in order; resolves when it has ended: a frozen one not before it is thawed. */
  stop(at: number): Promise<void>;
  /** Lets the server send its clients elsewhere one by one, then end: some 2 s and 1 s for each. */
  lameDuck(at: number): Promise<void>;
  /**
   * Starts an ended server again on the same ports; resolves when the servers that run are one cluster. Rejects
   * where it has not ended.
   */
  start(at: number): Promise<void>;
  /** Stops the server's process, which then answers nothing, until `thaw`. */
  freeze(at: number): void;
  thaw(at: number): void;
  /** Kills all servers, and removes their files. Idempotent. */
  close(): Promise<void>;
}

const routes = z.object({ routes: z.array(z.object({ remote_id: z.string() })).default([]) });

interface Ports {
  readonly client: number;
  readonly monitoring: number;
  /** Unused by a single server. */
  readonly cluster: number;
}

async function portsOf(): Promise<Ports> {
  const [client = 0, monitoring = 0, cluster = 0] = await freePorts(3);
  return { client, monitoring, cluster };
}

/** Starts the servers; resolves when each knows all others. Rejects with what a server printed. */
export async function startNats(options: NatsOptions = {}): Promise<Nats> {
  installNats();
  const folder = processFolder("lean-nats-");
  const count = options.servers ?? 1;
  const servers: NatsServer[] = [];
  const whole = () => Promise.all(servers.map((each) => each.waitForRoutes(count - 1)));
  const removeAll = async () => {
    await Promise.all(servers.map((each) => each.end("SIGKILL")));
    folder.remove();
  };
  const outlived = endWithProcess(() => servers.forEach((each) => each.process?.kill("SIGKILL")));
  try {
    for (let at = 0; at < count; at++) {
      const server = new NatsServer(join(folder.path, `${at}`), `nats-${at}`, count, options);
      servers.push(server);
      await server.start(servers.slice(0, 1).flatMap(({ ports }) => ports?.cluster ?? []));
    }
    await whole();
  } catch (error) {
    await removeAll();
    throw error;
  }
  const of = (at: number) => {
    const server = servers[at];
    if (server === undefined) throw new RangeError(`no server ${at}: there are ${count}`);
    return server;
  };
  return {
    urls: servers.map((each) => each.url),
    get pids() {
      return servers.map(({ process: { pid = 0 } = {} }) => pid);
    },
    state: (at) => of(at).state,
    kill: (at) => of(at).end("SIGKILL"),
    stop: (at) => of(at).end("SIGTERM"),
    lameDuck: (at) => of(at).end("SIGUSR2"),
    async start(at) {
      const others = servers.filter((each) => each !== of(at));
      await of(at).start(others.flatMap(({ ports }) => ports?.cluster ?? []));
      const running = servers.filter(({ state }) => state === "running");
      await Promise.all(running.map((each) => each.waitForRoutes(running.length - 1)));
    },
    freeze: (at) => of(at).setFrozen(true),
    thaw: (at) => of(at).setFrozen(false),
    async close() {
      outlived();
      await removeAll();
    },
  };
}

/** Installs the pinned server unless it is there. */
function installNats(): void {
  if (existsSync(NATS_SERVER)) return;
  const { status, stderr } = spawnSync(process.execPath, [SETUP], { encoding: "utf8" });
  if (status !== 0) throw new Error(`nats-server cannot be installed: ${stderr}`);
}

class NatsServer {
  /** Undefined while it does not run. */
  process: ChildProcess | undefined;
  /** Undefined until it is started. */
  ports: Ports | undefined;
  #isFrozen = false;
  #output = "";

  constructor(
    private readonly folder: string,
    private readonly name: string,
    private readonly count: number,
    private readonly options: NatsOptions,
  ) {
    mkdirSync(folder);
    if (options.include !== undefined) copyFileSync(options.include, join(folder, "include.conf"));
  }

  get url(): string {
    const scheme = this.options.tls === undefined ? "nats" : "tls";
    return `${scheme}://localhost:${this.ports?.client ?? 0}`;
  }

  get state(): ReturnType<Nats["state"]> {
    if (this.process === undefined) return "ended";
    return this.#isFrozen ? "frozen" : "running";
  }

  setFrozen(isFrozen: boolean): void {
    this.process?.kill(isFrozen ? "SIGSTOP" : "SIGCONT");
    this.#isFrozen = isFrozen;
  }

  async start(clusterPorts: readonly number[]): Promise<void> {
    if (this.process !== undefined) throw new Error(`${this.name} has not ended`);
    this.ports ??= await portsOf();
    const file = join(this.folder, "nats.conf");
    writeFileSync(file, this.#config(this.ports, clusterPorts));
    const child = spawn(NATS_SERVER, ["-c", file], {
      stdio: ["ignore", "ignore", "pipe"],
      detached: this.options.hasOwnSession === true,
    });
    this.process = child;
    this.#isFrozen = false;
    this.#output = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#output = (this.#output + text).slice(-4096);
    });
    child.once("exit", () => {
      if (this.process === child) this.process = undefined;
    });
    await once(child, "spawn");
    await this.#eventually(async () =>
      accessSync(join(this.folder, `nats-server_${child.pid ?? 0}.ports`)),
    );
  }

  /** Resolves when this server has a route to as many others. */
  async waitForRoutes(count: number): Promise<void> {
    if (count === 0) return;
    await this.#eventually(async () => {
      const url = `http://127.0.0.1:${this.ports?.monitoring ?? 0}/routez`;
      const answer = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
      const known = routes.parse(await answer.json()).routes.map((each) => each.remote_id);
      if (new Set(known).size < count) throw new Error("the cluster has not formed");
    });
  }

  async end(signal: "SIGKILL" | "SIGTERM" | "SIGUSR2"): Promise<void> {
    const child = this.process;
    if (child === undefined) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }

  /** Tries until it works; rejects when the server has ended, or after `START_TIMEOUT_MS`. */
  async #eventually<T>(attempt: () => Promise<T>): Promise<T> {
    const endAtMs = performance.now() + START_TIMEOUT_MS;
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        if (this.process === undefined) throw new Error(`nats-server has ended: ${this.#output}`);
        if (performance.now() > endAtMs) throw error;
        await sleep(POLL_MS);
      }
    }
  }

  #config(ports: Ports, clusterPorts: readonly number[]): string {
    const { tls, include, config = "" } = this.options;
    const quote = (text: string) => JSON.stringify(text);
    const peers = clusterPorts.map((port) => `"nats://127.0.0.1:${port}"`).join(", ");
    return [
      `server_name: ${quote(this.name)}`,
      `listen: "127.0.0.1:${ports.client}"`,
      `http: "127.0.0.1:${ports.monitoring}"`,
      `ports_file_dir: ${quote(this.folder)}`,
      `ping_interval: "1s"`,
      `lame_duck_grace_period: "2s"`,
      `lame_duck_duration: "30s"`,
      ...(this.count === 1
        ? []
        : [`cluster { name: "lean", listen: "127.0.0.1:${ports.cluster}", routes: [${peers}] }`]),
      ...(tls === undefined
        ? []
        : [
            `tls { cert_file: ${quote(tls.certificate)}, key_file: ${quote(tls.key)},`,
            `  ca_file: ${quote(tls.ca)}, ${include === undefined ? "verify" : "verify_and_map"}: true }`,
          ]),
      ...(include === undefined ? [] : [`include "include.conf"`]),
      config,
      "",
    ].join("\n");
  }
}
