/** `lean-aggregator serve` as an operator starts it: a process, by its command line. */
import { spawn, type ChildProcess } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";

/** A lock of its own: another service of this machine may hold the default device's. */
const DEVICE = "devnet";
const POLL_MS = 100;
const READY_MS_MAX = 90_000;

export class ServiceProcess {
  private constructor(
    private readonly child: ChildProcess,
    readonly metricsUrl: string,
    /** With the exit code. */
    readonly exited: Promise<number | null>,
  ) {}

  /** Resolves once a prover is set up. `listen` is `host:port` or `unix:/path`. */
  static async start(listen: string, onLine: (line: string) => void): Promise<ServiceProcess> {
    const args = ["dist/server/main.js", "serve", "--listen", listen];
    args.push("--http", "127.0.0.1:0", "--admin", "off");
    const env = { ...process.env, LEAN_AGGREGATOR_DEVICES: DEVICE };
    const child = spawn(process.execPath, args, { env, stdio: ["ignore", "ignore", "pipe"] });
    const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
    const http = await new Promise<string>((resolve, reject) => {
      void exited.then((code) => reject(new Error(`the service ended with code ${String(code)}`)));
      createInterface({ input: child.stderr }).on("line", (line) => {
        onLine(line);
        const address = httpAddress(line);
        if (address !== undefined) resolve(address);
      });
    });
    const service = new ServiceProcess(child, `http://${http}/metrics`, exited);
    await untilReady(`http://${http}/readyz`);
    return service;
  }

  /** The prover that has worked most: a standby waits, the other proves. */
  proverPid(): number | undefined {
    const [busiest] = childrenOf(this.child.pid ?? 0).sort((a, b) => b.cpuTicks - a.cpuTicks);
    return busiest?.pid;
  }

  stop(): void {
    this.child.kill("SIGTERM");
  }

  kill(): void {
    this.child.kill("SIGKILL");
  }
}

function httpAddress(line: string): string | undefined {
  if (!line.startsWith("{")) return undefined;
  return (JSON.parse(line) as { http?: string }).http;
}

async function untilReady(url: string): Promise<void> {
  const untilMs = Date.now() + READY_MS_MAX;
  for (;;) {
    const response = await fetch(url).catch(() => undefined);
    if (response?.status === 200) return;
    if (Date.now() > untilMs) throw new Error("the service did not become ready");
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Linux: the processes whose parent this is, and the CPU time that each has used. */
function childrenOf(parent: number): { pid: number; cpuTicks: number }[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const fields = statFields(name);
      if (Number(fields[1]) !== parent) return [];
      return [{ pid: Number(name), cpuTicks: Number(fields[11]) + Number(fields[12]) }];
    });
}

/** From the state on: the fields after the command, which may hold anything. */
function statFields(pid: string): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return []; // it has ended since
  }
}
