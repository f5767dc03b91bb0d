/**
 * A service as an operator runs it, `node dist/server/main.js serve`, in a scratch place of its own:
 * started, watched by its log, sent signals, and looked at from outside once it has ended.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { closeSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { vi } from "vitest";
import { loadAddon } from "../../native/addon.js";
import type { BackendOptions } from "../../server/prover/backend-file.js";
import { deviceLockPath } from "../../server/prover/device.js";

const main = join(process.cwd(), "dist/server/main.js");
if (!existsSync(main)) throw new Error(`${main} is missing; run 'make build'`);

/** Nothing here takes longer, on a loaded machine either. */
export const WAIT_MS_MAX = 60_000;

/** As `vi.waitUntil`, with a limit for a loaded machine: the value once it is there. */
export function until<T>(look: () => T | Promise<T>): Promise<NonNullable<Exclude<T, false>>> {
  return vi.waitUntil(look, { timeout: WAIT_MS_MAX, interval: 10 }) as Promise<
    NonNullable<Exclude<T, false>>
  >;
}

/** False for a process that has ended, also before its parent has taken note. */
export function isRunning(pid: number): boolean {
  const state = statOf(String(pid))?.[0];
  return state !== undefined && state !== "Z";
}

/** Folder, socket and device that services of one test share, one after the other or at once. */
export class Site {
  readonly folder = mkdtempSync(join(tmpdir(), "lean-chaos-"));
  readonly socket = join(this.folder, "grpc.sock");
  /** Among the arguments of every prover of this site, as the folder is of every service. */
  private readonly device = `chaos-${randomUUID().slice(0, 8)}`;

  /** Without a backend: the real one. `extra` goes into the device's configuration. */
  constructor(
    private readonly backend?: BackendOptions,
    private readonly extra: Record<string, unknown> = {},
  ) {}

  get address(): string {
    return `unix:${this.socket}`;
  }

  environment(settings: Record<string, string>): Record<string, string | undefined> {
    const device = { id: this.device, nice: 5, ...this.extra };
    const devices = [this.backend === undefined ? device : { ...device, backend: this.backend }];
    return {
      ...process.env,
      LEAN_AGGREGATOR_DEVICES: JSON.stringify(devices),
      LEAN_AGGREGATOR_LISTEN: this.address,
      LEAN_AGGREGATOR_HTTP: "127.0.0.1:0",
      LEAN_AGGREGATOR_STANDBY: "1",
      ...settings,
    };
  }

  /** Every process of this site that lives, services and provers, orphans too. */
  processes(): number[] {
    return readdirSync("/proc").flatMap((entry) => {
      if (!/^\d+$/.test(entry)) return [];
      try {
        const words = readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0");
        const isOurs = words.includes(this.device) || words.includes(this.folder);
        return isOurs ? [Number(entry)] : [];
      } catch {
        return []; // it has ended since it was listed, or is none of ours
      }
    });
  }

  /** Takes the device's lock, and gives it back at once. */
  isLockFree(): boolean {
    const addon = loadAddon();
    const fd = addon.lockFile(deviceLockPath(this.folder, this.device));
    if (fd < 0) return false;
    closeSync(fd);
    return true;
  }

  isSocketAnswered(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.socket, () => {
        socket.destroy();
        resolve(true);
      });
      socket.on("error", () => resolve(false));
    });
  }

  /** What a service that has ended must not leave behind; empty when all is well. */
  async leftovers(): Promise<string[]> {
    const processes = this.processes().map((pid) => `process ${String(pid)}`);
    const lock = this.isLockFree() ? [] : ["the device's lock"];
    const socket = (await this.isSocketAnswered()) ? ["an answered socket"] : [];
    return [...processes, ...lock, ...socket];
  }

  /** For the end of a test, whatever has become of it. */
  dispose(): void {
    for (const pid of this.processes()) process.kill(pid, "SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

interface LogLine {
  msg: string;
  pid?: number;
  cause?: string;
  http?: string;
}

/** One run of the service. */
export class ServiceProcess {
  readonly exited: Promise<Exit>;
  readonly log: LogLine[] = [];
  /** What it wrote that is no log line: errors of the command line. */
  stderr = "";
  private exit: Exit | undefined;

  private constructor(private readonly child: ChildProcess) {
    this.exited = new Promise((resolve) => {
      child.once("close", (code, signal) => resolve((this.exit = { code, signal })));
    });
    if (child.stderr === null) throw new Error("standard error is not piped");
    createInterface({ input: child.stderr }).on("line", (line) => this.read(line));
  }

  /** Returns at once; `settings` are environment variables. As another user: only from root. */
  static spawn(
    site: Site,
    settings: Record<string, string> = {},
    user: { uid?: number; gid?: number } = {},
  ): ServiceProcess {
    const stdio = ["ignore", "ignore", "pipe"];
    const options = { env: site.environment(settings), stdio, ...user };
    return new ServiceProcess(
      spawn(process.execPath, [main, "serve", "--lock-dir", site.folder], options as never),
    );
  }

  /** Resolves once active prover and standby are set up. */
  static async start(site: Site, settings: Record<string, string> = {}): Promise<ServiceProcess> {
    const service = ServiceProcess.spawn(site, settings);
    await service.fullStrength(settings.LEAN_AGGREGATOR_STANDBY === "0" ? 1 : 2);
    return service;
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error("the service could not be started");
    return this.child.pid;
  }

  get isAlive(): boolean {
    return this.exit === undefined;
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** Set-up provers that live, the active one first: a standby is always the younger. */
  provers(): number[] {
    const pids = (msg: string) =>
      this.log.flatMap((line) => (line.msg === msg ? (line.pid ?? []) : []));
    const ended = new Set(pids("prover ended"));
    return pids("prover ready").filter((pid) => !ended.has(pid));
  }

  /** Prover processes, set up or not. */
  children(): number[] {
    return readdirSync("/proc").flatMap((entry) => {
      const parent = /^\d+$/.test(entry) ? parentOf(entry) : undefined;
      return parent === this.pid ? [Number(entry)] : [];
    });
  }

  active(): number {
    return defined(this.provers()[0], "active prover");
  }

  standby(): number {
    return defined(this.provers()[1], "standby");
  }

  /** The causes of the provers' ends so far. */
  endings(): string[] {
    return this.log.flatMap(({ msg, cause }) => (msg === "prover ended" ? [cause ?? ""] : []));
  }

  /** Waits until so many provers are set up: the active one, and a standby. */
  async fullStrength(count = 2): Promise<void> {
    await until(() => {
      if (!this.isAlive) throw new Error(`the service has ended: ${this.stderr}`);
      return this.provers().length >= count;
    });
  }

  /** The address of the HTTP edge, once it listens. */
  httpAddress(): Promise<string> {
    return until(() => this.log.find(({ http }) => http !== undefined)?.http);
  }

  private read(line: string): void {
    try {
      this.log.push(JSON.parse(line) as LogLine);
    } catch {
      this.stderr += `${line}\n`;
    }
  }
}

function defined<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`there is no ${what}`);
  return value;
}

function parentOf(pid: string): number | undefined {
  const parent = statOf(pid)?.[1];
  return parent === undefined ? undefined : Number(parent);
}

/** State, parent's id and so on: what follows the name, which may hold anything. */
function statOf(pid: string): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined; // it has ended
  }
}
