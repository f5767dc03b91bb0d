/** `serve` with the fake prover in a process of its own, on Unix sockets of a fresh folder. */
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { constants } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { temporaryFolder } from "../../helpers/temporary-folder.js";

const WAIT_MS_MAX = 30_000;

/** Where a service listens, and the flags for it. */
export class ServedPlace {
  readonly folder = temporaryFolder();
  private readonly probes = join(this.folder, "probes");

  readonly flags = [
    ...["--prover", "fake", "--listen", `unix:${join(this.folder, "nodes")}`],
    ...["--admin", `unix:${join(this.folder, "admin")}`, "--probes", `unix:${this.probes}`],
    ...["--state-dir", join(this.folder, "state")],
  ];

  readonly nodes = `unix:${join(this.folder, "nodes")}`;
  readonly admin = ["--server", `unix:${join(this.folder, "admin")}`];

  /** The answer of a probe's page; undefined when nobody answers. */
  page(
    path: "/livez" | "/readyz" | "/metrics",
  ): Promise<{ code: number; text: string } | undefined> {
    return new Promise((resolve) => {
      const options = { socketPath: this.probes, path, timeout: 2000, agent: false };
      const call = request(options, (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (part: string) => (text += part));
        answer.on("end", () => resolve({ code: answer.statusCode ?? 0, text }));
      });
      call.on("timeout", () => call.destroy());
      call.on("error", () => resolve(undefined));
      call.end();
    });
  }

  /** Resolves once the service is ready. */
  async ready(): Promise<void> {
    await until("the service is ready", async () => (await this.page("/readyz"))?.code === 200);
  }

  async isLive(): Promise<boolean> {
    return (await this.page("/livez"))?.code === 200;
  }
}

/** Whether a process has a handler for the signal. */
export function catches(pid: number, signal: NodeJS.Signals): boolean {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const caught = BigInt(`0x${/^SigCgt:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0"}`);
  return (caught & (1n << BigInt(constants.signals[signal] - 1))) !== 0n;
}

/** Resolves once `isSo`; rejects after `WAIT_MS_MAX`. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + WAIT_MS_MAX;
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error(`not within ${WAIT_MS_MAX} ms: ${what}`);
    await delay(20);
  }
}
