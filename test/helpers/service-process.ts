/** The service as a process of its own, with the fake prover: what chaos tests kill and freeze. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";

const START_TIMEOUT_MS = 20_000;
const MAIN = join(process.cwd(), "dist/server/main.js");

export interface ServiceProcess {
  /** `host:port` of the data plane. */
  address: string;
  signal(signal: "SIGSTOP" | "SIGCONT"): void;
  /** SIGKILL; resolves once it has ended. Idempotent. */
  kill(): Promise<void>;
}

/** Starts the compiled service, on a free port unless told the address of an earlier run. */
export async function startServiceProcess(address = "127.0.0.1:0"): Promise<ServiceProcess> {
  const others = ["--http", "127.0.0.1:0", "--admin", "off"];
  const args = ["serve", "--prover", "fake", "--listen", address, ...others];
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  const exited = once(child, "exit");
  const kill = async () => {
    child.kill("SIGKILL");
    await exited;
  };
  try {
    return { address: await listening(child), kill, signal: (signal) => void child.kill(signal) };
  } catch (error) {
    await kill();
    throw error;
  }
}

/** Its log says where it listens; read on, so that the pipe never fills. */
function listening(child: ChildProcess): Promise<string> {
  const { stderr } = child;
  if (stderr === null) throw new Error("the service has no standard error");
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error("the service is silent")), START_TIMEOUT_MS);
    child.on("exit", () => reject(new Error("the service ended before it listened")));
    createInterface({ input: stderr }).on("line", (line) => {
      const [, address] = /"grpc":\["([^"]+)"/.exec(line) ?? [];
      if (address === undefined) return;
      clearTimeout(late);
      resolve(address);
    });
  });
}
