/** The demo's service: `serve` in a process of its own, which may outlive the demo. */
import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { CommandError } from "../io/command.js";
import { packageRoot } from "../io/package-root.js";
import { probePage } from "../doctor/probe-page.js";

/** How often the log and the probe are looked at, in milliseconds. */
const LOOK_MS = 100;
/**
 * Time for the service to be ready, in milliseconds: a setup of `proverStartMsMax`, after which the
 * service says that the prover did not start, and two proofs that it times.
 */
const READY_MS_MAX = 300_000;
/** Why a prover ended that could not be set up: the demo does not wait for another try. */
const NOT_STARTED: readonly (string | undefined)[] = ["start_failed", "refused"];

export interface DemoService {
  pid: number;
  /** Addresses for nodes, for probes and for the operator. */
  nodes: string;
  probes: string;
  operator: string;
  /** The folder with its log and what it learns. */
  folder: string;
  /** Ends it and removes the folder. Resolves with its exit code; null: a signal ended it. */
  stop: () => Promise<number | null>;
}

const line = z.object({
  cause: z.string().optional(),
  detail: z.string().optional(),
  nodes: z.array(z.string()).optional(),
  probes: z.string().optional(),
  operator: z.string().optional(),
});

/**
 * Starts a service with these flags, which have an address for probes, and waits until it is ready.
 * It learns costs of its own, as it proves beside a node; the device's lock is that of any service.
 * Rejects, and ends it, when it cannot prove, is not ready in time, or `signal` aborts.
 */
export async function startDemoService(
  flags: readonly string[],
  signal: AbortSignal,
  readyMsMax = READY_MS_MAX,
): Promise<DemoService> {
  const folder = mkdtempSync(join(tmpdir(), "lean-aggregator-demo-"));
  const logPath = join(folder, "service.log");
  const log = openSync(logPath, "a");
  const main = `${packageRoot}dist/cli/main.js`;
  // The log has the addresses at level info, whatever the environment asks for.
  const own = ["--state-dir", join(folder, "state"), "--log-level", "info"];
  const args = [main, "serve", ...own, ...flags];
  // In a process group of its own: a Ctrl-C is for the demo, which then ends it.
  const child = spawn(process.execPath, args, { stdio: ["ignore", log, log], detached: true });
  closeSync(log);
  let end: { code: number | null; why: string } | undefined;
  const ended = new Promise<number | null>((resolve) => {
    const note = (code: number | null, why: string) => {
      end = { code, why };
      resolve(code);
    };
    child.once("exit", (code, name) => note(code, `it ended with ${name ?? `code ${code}`}`));
    child.once("error", ({ message }) => note(null, message));
  });
  const stop = async () => {
    child.kill("SIGTERM");
    const code = await ended;
    rmSync(folder, { recursive: true, force: true });
    return code;
  };
  const untilMs = performance.now() + readyMsMax;
  try {
    for (;;) {
      const lines = readFileSync(logPath, "utf8").split("\n").map(parsed);
      const { nodes: [nodes] = [], probes, operator } = lines.find((each) => each.nodes) ?? {};
      const failed = lines.find(({ cause }) => NOT_STARTED.includes(cause));
      if (failed !== undefined) throw cannotProve(failed.detail ?? "");
      if (end !== undefined) throw cannotProve(endText(end, logPath));
      let state = "it does not listen yet";
      if (nodes !== undefined && probes !== undefined && operator !== undefined) {
        // No answer when it has just ended; the next look finds out why.
        const answer = await probePage(probes, "/readyz", signal).catch(() => undefined);
        if (answer?.status === 200 && child.pid !== undefined)
          return { pid: child.pid, nodes, probes, operator, folder, stop };
        state = answer?.text.trim() ?? "no answer";
      }
      if (performance.now() > untilMs)
        throw cannotProve(`it is not ready after ${readyMsMax / 1000} s: ${state}`);
      await delay(LOOK_MS, undefined, { signal });
    }
  } catch (error) {
    await stop();
    throw error;
  }
}

function parsed(text: string): z.infer<typeof line> {
  if (!text.startsWith("{")) return {};
  try {
    return line.parse(JSON.parse(text));
  } catch {
    return {}; // the line is being written
  }
}

/** The log's last line says why the service gave up, but nothing of a signal. */
function endText({ code, why }: { code: number | null; why: string }, logPath: string): string {
  const lastLine = readFileSync(logPath, "utf8").trim().split("\n").at(-1) ?? "";
  return code === null || lastLine === "" ? why : lastLine;
}

function cannotProve(why: string): CommandError {
  return new CommandError(`the service cannot prove: ${why}`, "run 'lean-aggregator doctor'");
}
