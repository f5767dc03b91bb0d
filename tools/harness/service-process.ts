/**
 * A service as an operator runs it: `serve` in a process of its own, watched by its log, sent
 * signals, and waited for. Chaos tests, bench, devnet and the image's test start theirs here.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { childrenOf } from "./processes.js";

/** Nothing here takes longer, on a loaded machine either. */
const WAIT_MS_MAX = 90_000;
/** Free ports, unless the caller says where. */
const LISTENERS = {
  LEAN_AGGREGATOR_LISTEN: "127.0.0.1:0",
  LEAN_AGGREGATOR_ADMIN: "127.0.0.1:0",
  LEAN_AGGREGATOR_PROBES: "127.0.0.1:0",
};

export interface ServeOptions {
  /** Of `serve`; they win over the variables. */
  flags?: readonly string[];
  /** Beside this process's own, and over them. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Where it is installed. Default: this checkout. */
  folder?: string;
  /** Below the folder, in place of `serve`; takes its flags and variables. */
  script?: string;
  /** In a session of its own, as in another container: niceness counts within a session only. */
  hasOwnSession?: boolean;
  /** Only from root. Default: as this process. */
  user?: { uid?: number; gid?: number };
  /** Told each line of its log. */
  onLine?: (line: string) => void;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

interface LogLine {
  msg: string;
  pid?: number;
  cause?: string;
  detail?: string;
  /** With the two that follow: where it listens. */
  nodes?: string[];
  operator?: string;
  probes?: string;
}

export class ServiceProcess {
  readonly exited: Promise<Exit>;
  readonly log: LogLine[] = [];
  /** What it wrote that is no log line: errors of the command line. */
  stderr = "";
  private exit: Exit | undefined;
  /** Of each line of the log, and of the end. */
  private readonly news = new EventEmitter();

  private constructor(
    private readonly child: ChildProcess,
    private readonly onLine: (line: string) => void,
  ) {
    const end = () => void child.kill("SIGKILL");
    process.once("exit", end);
    this.exited = new Promise((resolve) => {
      child.once("close", (code, signal) => {
        process.off("exit", end);
        resolve((this.exit = { code, signal }));
        this.news.emit("news");
      });
    });
    if (child.stderr === null) throw new Error("standard error is not piped");
    createInterface({ input: child.stderr }).on("line", (line) => this.read(line));
  }

  /** Returns at once. The process ends with this one. */
  static spawn(options: ServeOptions = {}): ServiceProcess {
    const { flags = [], env = {}, folder = process.cwd(), hasOwnSession = false, user } = options;
    const main = join(folder, options.script ?? "dist/cli/main.js");
    if (!existsSync(main)) throw new Error(`${main} is missing; run 'make build'`);
    const command = options.script === undefined ? [main, "serve"] : [main];
    const child = spawn(process.execPath, [...command, ...flags], {
      env: { ...process.env, ...LISTENERS, ...env },
      stdio: ["ignore", "ignore", "pipe"],
      detached: hasOwnSession,
      ...user,
    });
    return new ServiceProcess(child, options.onLine ?? (() => undefined));
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

  /** SIGTERM; resolves once it has ended. Idempotent, as is `kill`. */
  stop(): Promise<Exit> {
    this.signal("SIGTERM");
    return this.exited;
  }

  kill(): Promise<Exit> {
    this.signal("SIGKILL");
    return this.exited;
  }

  /** The first of the nodes' addresses, and the others, ports resolved. */
  listening(): Promise<{ nodes: string; operator: string; probes: string }> {
    return this.until("listens", () => {
      const line = this.log.find((each) => each.nodes);
      const { nodes: [nodes] = [], operator, probes } = line ?? {};
      const isUp = nodes !== undefined && operator !== undefined && probes !== undefined;
      return isUp ? { nodes, operator, probes } : undefined;
    });
  }

  /** Resolves once a prover is set up; rejects when it cannot be. */
  async ready(): Promise<void> {
    await this.until("is ready", () => {
      const failed = this.log.find(({ cause }) => cause === "start_failed");
      if (failed !== undefined) throw new Error(`no prover: ${failed.detail}; try 'make doctor'`);
      return this.log.find(({ msg }) => msg === "prover ready");
    });
  }

  /** Resolves once so many provers are set up: the active one, and a standby. */
  async fullStrength(count = 2): Promise<void> {
    const isThere = () => (this.provers().length >= count ? true : undefined);
    await this.until(`has ${count} provers`, isThere);
  }

  /** What `/metrics` says. */
  async metrics(): Promise<string> {
    const { probes } = await this.listening();
    return (await fetch(`http://${probes}/metrics`)).text();
  }

  /** Set-up provers that live, the active one first: a standby is always the younger. */
  provers(): number[] {
    const pids = (msg: string) =>
      this.log.flatMap((line) => (line.msg === msg ? (line.pid ?? []) : []));
    const ended = new Set(pids("prover ended"));
    return pids("prover ready").filter((pid) => !ended.has(pid));
  }

  active(): number {
    return defined(this.provers()[0], "active prover");
  }

  standby(): number {
    return defined(this.provers()[1], "standby");
  }

  /** Prover processes, set up or not. */
  children(): number[] {
    return childrenOf(this.pid);
  }

  /** The causes of the provers' ends so far. */
  endings(): string[] {
    return this.log.flatMap(({ msg, cause }) => (msg === "prover ended" ? [cause ?? ""] : []));
  }

  private read(line: string): void {
    this.onLine(line);
    try {
      this.log.push(JSON.parse(line) as LogLine);
    } catch {
      this.stderr += `${line}\n`;
    }
    this.news.emit("news");
  }

  /** The value of `find` once it has one: asked now, and after each line of the log. */
  private async until<T>(what: string, find: () => T | undefined): Promise<T> {
    const signal = AbortSignal.timeout(WAIT_MS_MAX);
    const tooLate = (cause: unknown) => {
      throw new Error(`not within ${WAIT_MS_MAX} ms: the service ${what}`, { cause });
    };
    for (;;) {
      const value = find();
      if (value !== undefined) return value;
      if (!this.isAlive) throw new Error(`ended before it ${what}: ${this.lastWords()}`);
      await once(this.news, "news", { signal }).catch(tooLate);
    }
  }

  private lastWords(): string {
    return this.stderr || (this.log.at(-1)?.msg ?? "silence");
  }
}

function defined<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`there is no ${what}`);
  return value;
}
