/**
 * The service as its users run it: `serve` in a process and a session of its own, so that neither
 * the bench's work nor its share of the processor is the server's. A fresh one a measurement.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";

const SERVE = ["dist/server/main.js", "serve"];
const LISTENERS = ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
const READY_POLL_MS = 50;

const listening = z.object({
  grpc: z.tuple([z.string()]),
  http: z.string(),
  admin: z.string(),
});
const failed = z.object({ msg: z.literal("prover did not start"), cause: z.string() });

/** Resident memory, in bytes. */
export interface Resident {
  now: number;
  /** The most since the process began. */
  peak: number;
}

export class ServiceProcess {
  private constructor(
    private readonly child: ChildProcess,
    private readonly tmp: string,
    /** Of the gRPC listener. */
    readonly address: string,
    /** Of the HTTP edge. */
    readonly http: string,
    /** Of the operator's listener. */
    readonly adminAddress: string,
  ) {}

  /** Resolves once the service is ready to prove. The process ends with this one. */
  static async start(flags: readonly string[] = []): Promise<ServiceProcess> {
    // A lock of its own: another service on this machine is no obstacle.
    const tmp = mkdtempSync(join(tmpdir(), "lean-bench-"));
    const child = spawn(process.execPath, [...SERVE, ...LISTENERS, "--lock-dir", tmp, ...flags], {
      stdio: ["ignore", "ignore", "pipe"],
      // A session of its own, as in another container: niceness counts within a session only.
      detached: true,
    });
    const killIt = () => child.kill("SIGKILL");
    process.once("exit", killIt);
    child.once("exit", () => process.off("exit", killIt));
    const { grpc, http, admin } = await addresses(child);
    const service = new ServiceProcess(child, tmp, grpc[0], http, admin);
    await service.ready();
    return service;
  }

  /** The server's own metrics by name, those with labels left out. Resets the loop's lag. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    const text = await (await fetch(`http://${this.http}/metrics`)).text();
    const samples = text.matchAll(/^([a-z0-9_]+) (\S+)$/gm);
    return new Map([...samples].map(([, name = "", value]) => [name, Number(value)]));
  }

  /** Of the server. */
  resident(): Resident {
    return residentOf(this.pid);
  }

  /** Of each of its prover processes. Linux only, as is what they are found by. */
  provers(): Resident[] {
    return childrenOf(this.pid).map(residentOf);
  }

  async stop(): Promise<void> {
    const { child } = this;
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await ended;
    }
    rmSync(this.tmp, { recursive: true, force: true });
  }

  private get pid(): number {
    if (this.child.pid === undefined) throw new Error("the service has no process");
    return this.child.pid;
  }

  private async ready(): Promise<void> {
    for (;;) {
      if (this.child.exitCode !== null) throw new Error("the service ended before it was ready");
      const { status } = await fetch(`http://${this.http}/readyz`);
      if (status === 200) return;
      await pause(READY_POLL_MS);
    }
  }
}

/** Runs a measurement against a fresh service, and stops it whatever happens. */
export async function withService<T>(
  run: (service: ServiceProcess) => Promise<T>,
  flags: readonly string[] = [],
): Promise<T> {
  const service = await ServiceProcess.start(flags);
  try {
    return await run(service);
  } finally {
    await service.stop();
  }
}

function addresses(child: ChildProcess): Promise<z.infer<typeof listening>> {
  const { stderr } = child;
  if (stderr === null) throw new Error("the service's stderr is not a pipe");
  return new Promise((resolve, reject) => {
    const last: string[] = [];
    child.once("error", reject);
    child.once("exit", (code) => {
      reject(new Error(`the service ended with ${String(code)}: ${last.join("\n")}`));
    });
    createInterface({ input: stderr }).on("line", (line) => {
      last.splice(0, Math.max(0, last.length - 4), line);
      const entry: unknown = line.startsWith('{"') ? JSON.parse(line) : undefined;
      const up = listening.safeParse(entry);
      if (up.success) resolve(up.data);
      const down = failed.safeParse(entry);
      if (down.success) reject(new Error(`${down.data.cause}; try 'make doctor'`));
    });
  });
}

export function residentOf(pid: number): Resident {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const bytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? NaN) * 1024;
  return { now: bytes("VmRSS"), peak: bytes("VmHWM") };
}

function childrenOf(pid: number): number[] {
  const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return processes.map(Number).filter((child) => {
    try {
      // The name, in brackets, may hold anything; after it come the state and the parent.
      const afterName = readFileSync(`/proc/${child}/stat`, "utf8").split(") ").at(-1) ?? "";
      return Number(afterName.split(" ")[1]) === pid;
    } catch {
      return false; // it has ended since the folder was read
    }
  });
}
