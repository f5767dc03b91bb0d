/**
 * Runs the service as an operator does: `serve` in a process of its own. Reads its log, sends it
 * signals, and waits for what it does. Chaos tests, bench, devnet and the test of the container
 * image start their services here.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { childrenOf } from "./processes.js";
import { endWithProcess } from "./end-with-process.js";

/** Time limit of every wait for the service, in milliseconds: enough on a loaded machine. */
const WAIT_MS_MAX = 90_000;
/** Listeners at free ports, unless the caller's `env` or `flags` have others. */
const LISTENERS = {
  LEAN_AGGREGATOR_LISTEN: "127.0.0.1:0",
  LEAN_AGGREGATOR_ADMIN: "127.0.0.1:0",
  LEAN_AGGREGATOR_PROBES: "127.0.0.1:0",
};

/** A lane host has probes only, and takes no setting that it does not know. */
function listenersOf(command: "serve" | "prove") {
  const { LEAN_AGGREGATOR_PROBES } = LISTENERS;
  return command === "serve" ? LISTENERS : { LEAN_AGGREGATOR_PROBES };
}

export interface ServeOptions {
  /** `prove`: a lane host. Default: serve. */
  command?: "serve" | "prove";
  /** Flags of the command; they win over `env`. */
  flags?: readonly string[];
  /** Environment variables, added to this process's own; they win over those. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Folder where lean-aggregator is installed. Default: this checkout. */
  folder?: string;
  /** Script in the folder to run instead of `serve`, with the same flags and variables. */
  script?: string;
  /**
   * Runs it in a process session of its own, as in another container: Linux compares niceness only
   * within such a session. Default false.
   */
  hasOwnSession?: boolean;
  /** User and group of the process; needs root. Default: those of this process. */
  user?: { uid?: number; gid?: number };
  /** The limit on open files of the process, soft and hard. Default: that of this process. */
  openFilesMax?: number;
  /** Its standard error. Default: a pipe, of which `log` has the lines. */
  stderr?: number | undefined;
  /** Called with each line of its standard error, which has the log. */
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
  /** Addresses for nodes. With `operator` and `probes`, in the line of a service that listens. */
  nodes?: string[];
  operator?: string;
  probes?: string;
}

export class ServiceProcess {
  readonly exited: Promise<Exit>;
  readonly log: LogLine[] = [];
  /** Lines of standard error that are not JSON: errors of the command line. */
  stderr = "";
  private exit: Exit | undefined;
  /** Emits `news` at each line of the log and at the end of the process. */
  private readonly news = new EventEmitter();

  private constructor(
    private readonly child: ChildProcess,
    private readonly onLine: (line: string) => void,
  ) {
    const outlived = endWithProcess(() => void child.kill("SIGKILL"));
    this.exited = new Promise((resolve) => {
      child.once("close", (code, signal) => {
        outlived();
        resolve((this.exit = { code, signal }));
        this.news.emit("news");
      });
    });
    if (child.stderr === null) return;
    createInterface({ input: child.stderr }).on("line", (line) => this.read(line));
  }

  /** Starts the process and returns at once. It is killed when this process exits. */
  static spawn(options: ServeOptions = {}): ServiceProcess {
    const { flags = [], env = {}, folder = process.cwd(), hasOwnSession = false, user } = options;
    const main = join(folder, options.script ?? "dist/cli/main.js");
    if (!existsSync(main)) throw new Error(`${main} is missing; run 'make build'`);
    const name = options.command ?? "serve";
    const command = options.script === undefined ? [main, name] : [main];
    const argv = [process.execPath, ...command, ...flags];
    const limit = options.openFilesMax;
    const [file, ...args] =
      limit === undefined ? argv : ["sh", "-c", `ulimit -n ${limit}; exec "$@"`, "sh", ...argv];
    const child = spawn(file ?? "", args, {
      env: { ...process.env, ...listenersOf(name), ...env },
      stdio: ["ignore", "ignore", options.stderr ?? "pipe"],
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

  /** Sends SIGTERM, and resolves once the process has ended. Idempotent. */
  stop(): Promise<Exit> {
    this.signal("SIGTERM");
    return this.exited;
  }

  /** Sends SIGKILL, and resolves once the process has ended. Idempotent. */
  kill(): Promise<Exit> {
    this.signal("SIGKILL");
    return this.exited;
  }

  /** Resolves with its addresses, once it listens; `nodes` is the first of those for nodes. */
  listening(): Promise<{ nodes: string; operator: string; probes: string }> {
    return this.until("listens", () => {
      const line = this.log.find((each) => each.nodes);
      const { nodes: [nodes] = [], operator, probes } = line ?? {};
      const isUp = nodes !== undefined && operator !== undefined && probes !== undefined;
      return isUp ? { nodes, operator, probes } : undefined;
    });
  }

  /** Resolves once a prover is set up; rejects when a prover cannot start. */
  async ready(): Promise<void> {
    await this.until("is ready", () => {
      const failed = this.log.find(({ cause }) => cause === "start_failed");
      if (failed !== undefined) throw new Error(`no prover: ${failed.detail}; try 'make doctor'`);
      return this.log.find(({ msg }) => msg === "prover ready");
    });
  }

  /** Resolves once `count` provers are set up; by default two, the active one and a standby. */
  async fullStrength(count = 2): Promise<void> {
    const isThere = () => (this.provers().length >= count ? true : undefined);
    await this.until(`has ${count} provers`, isThere);
  }

  /** The text of `/metrics`, of a door, a service or a lane host. */
  async metrics(): Promise<string> {
    const find = () => this.log.findLast((line) => line.probes !== undefined)?.probes;
    const probes = await this.until("has probes", find);
    return (await fetch(`http://${probes}/metrics`)).text();
  }

  /** Pids of the running, set-up provers, the active one first: a standby is always the younger. */
  provers(): number[] {
    const pids = (msg: string) =>
      this.log.flatMap((line) => (line.msg === msg ? (line.pid ?? []) : []));
    const ended = new Set(pids("prover ended"));
    return pids("prover ready").filter((pid) => !ended.has(pid));
  }

  /** Pid of the active prover. Throws when no prover is set up. */
  active(): number {
    return defined(this.provers()[0], "active prover");
  }

  /** Pid of the standby. Throws when no standby is set up. */
  standby(): number {
    return defined(this.provers()[1], "standby");
  }

  /** Pids of all prover processes, set up or not. */
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

  /**
   * Calls `find` now and after each line of the log, and resolves with its first value that is not
   * undefined. Rejects after `WAIT_MS_MAX`, when the process ends, or when `find` throws.
   */
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
