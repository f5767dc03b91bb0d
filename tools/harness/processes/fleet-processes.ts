/**
 * A fleet on this machine: nats-servers, doors and lane hosts, each a process of its own with its
 * own folders. Demo, drill, bench and chaos tests start, kill, freeze and restart its parts here.
 */
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { freePorts } from "./free-ports.js";
import { startNats } from "./nats.js";
import type { Nats, NatsOptions } from "./nats.js";
import { processFolder } from "./process-folder.js";
import type { ProcessFolder } from "./process-folder.js";
import { ServiceProcess } from "./service-process.js";

const READY_MS_MAX = 60_000;
const POLL_MS = 50;

export interface FleetOptions {
  /** Options of the engine. Default: one server in plain text. */
  readonly nats?: NatsOptions;
  /** Ctrl-C in a terminal then reaches this process alone, not its fleet. Default: false. */
  readonly hasOwnSession?: boolean;
  /** Default: 2. */
  readonly doors?: number;
  /** Default: 2. */
  readonly hosts?: number;
  /** Flags of each door, and of each host. */
  readonly doorFlags?: readonly string[];
  readonly hostFlags?: readonly string[];
  /** Flags of both, such as those of the engine's TLS. */
  readonly flags?: readonly string[];
  /** Flags of one of them by its id, such as its certificate. */
  flagsOf?(id: string): readonly string[];
  /** Folder of the checkout from which one of them runs, by its id. Default: this one. */
  folderOf?(id: string): string;
  /** URLs by which one of them reaches the engine, by its id. Default: those of the servers. */
  engineOf?(id: string, urls: readonly string[]): readonly string[];
  /** Environment variables of both, added to this process's own. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Folder for the folders of both. Default: a temporary one. */
  readonly folder?: string;
  /** Called with each line of the log of a process. */
  readonly onLine?: (name: string, line: string) => void;
}

/** A door or a lane host: its id stays when its process is started again. */
export class FleetMember {
  process: ServiceProcess;

  constructor(
    readonly id: string,
    readonly role: "door" | "host",
    private readonly spawn: () => ServiceProcess,
  ) {
    this.process = spawn();
  }

  /** Starts the process again after its end, on the same address. */
  restart(): void {
    this.process = this.spawn();
  }

  /** The address for nodes of a door. */
  async address(): Promise<string> {
    return (await this.process.listening()).nodes;
  }
}

export class Fleet {
  private constructor(
    readonly nats: Nats,
    readonly doors: readonly FleetMember[],
    readonly hosts: readonly FleetMember[],
    private readonly folder: ProcessFolder,
  ) {}

  /** Starts the engine, then the doors and hosts. Does not wait for provers: see `ready`. */
  static async start(options: FleetOptions = {}): Promise<Fleet> {
    const { hasOwnSession = false } = options;
    const nats = await startNats({ ...options.nats, hasOwnSession });
    const folder = processFolder("lean-fleet-", options.folder);
    const ports = await freePorts(options.doors ?? 2);
    const member = (id: string, role: "door" | "host", flags: readonly string[]) => {
      const own = join(folder.path, id);
      const command = role === "door" ? "serve" : "prove";
      const urls = options.engineOf?.(id, nats.urls) ?? nats.urls;
      const places = ["--engine", urls.join(","), "--runtime-dir", own, "--state-dir", own];
      const all = [...places, ...(options.flags ?? []), ...flags, ...(options.flagsOf?.(id) ?? [])];
      const checkout = options.folderOf?.(id) ?? process.cwd();
      const onLine = (line: string) => options.onLine?.(id, line);
      return new FleetMember(id, role, () =>
        ServiceProcess.spawn({
          ...{ command, flags: all, env: options.env ?? {}, onLine },
          folder: checkout,
          hasOwnSession,
        }),
      );
    };
    const hosts = Array.from({ length: options.hosts ?? 2 }, (_, at) =>
      member(`host-${at}`, "host", ["--host-id", `host-${at}`, ...(options.hostFlags ?? [])]),
    );
    const doors = ports.map((port, at) => {
      const flags = ["--service-id", `door-${at}`, "--devices", "none"];
      const listen = ["--listen", `127.0.0.1:${port}`];
      return member(`door-${at}`, "door", [...flags, ...listen, ...(options.doorFlags ?? [])]);
    });
    return new Fleet(nats, doors, hosts, folder);
  }

  /** The addresses for nodes, in the doors' order. */
  addresses(): Promise<string[]> {
    return Promise.all(this.doors.map((door) => door.address()));
  }

  /** Resolves once every door is ready, and hears a lane of each of so many hosts. */
  async ready(hosts = this.hosts.length): Promise<void> {
    const tooLateMs = performance.now() + READY_MS_MAX;
    for (const door of this.doors) {
      while ((await this.hostsHeard(door)) < hosts) {
        const ended = [door, ...this.hosts].find(({ process }) => !process.isAlive);
        if (ended !== undefined) throw new Error(`${ended.id} ended: ${ended.process.stderr}`);
        if (performance.now() > tooLateMs) throw new Error(`${door.id} is not ready in time`);
        await pause(POLL_MS);
      }
    }
  }

  member(id: string): FleetMember | undefined {
    return [...this.doors, ...this.hosts].find((each) => each.id === id);
  }

  /** Kills every process and removes their files. Idempotent. */
  async close(): Promise<void> {
    for (const { process } of [...this.doors, ...this.hosts]) process.signal("SIGCONT");
    await Promise.all([...this.doors, ...this.hosts].map(({ process }) => process.kill()));
    await this.nats.close();
    this.folder.remove();
  }

  private async hostsHeard(door: FleetMember): Promise<number> {
    const { probes } = await door.process.listening();
    const ready = await fetch(`http://${probes}/readyz`).catch(() => undefined);
    if (ready?.status !== 200) return 0;
    const text = await (await fetch(`http://${probes}/metrics`)).text();
    const lanes = /^lean_aggregator_server_fleet_hosts(?:\{[^}]*\})? (\d+)/m.exec(text)?.[1];
    return Number(lanes ?? 0);
  }
}
