/** Starts `lean-aggregator prove` with the fake prover as a process, and reads its log. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { z } from "zod";

const line = z.looseObject({ msg: z.string() });
type Line = z.infer<typeof line>;

export interface ProveProcess {
  /** Resolves with the exit code; undefined after a signal. */
  readonly exited: Promise<number | undefined>;
  signal(name: NodeJS.Signals): void;
  /** Resolves with the next line of the log that has this message. */
  untilLog(message: string): Promise<Line>;
  /** Resolves once the process has ended. */
  kill(): Promise<void>;
}

export function startProcess(flags: readonly string[]): ProveProcess {
  const common = ["--prover", "fake", "--probes", "off", "--drain-ms", "10000"];
  const child = spawn(process.execPath, ["dist/cli/main.js", "prove", ...common, ...flags], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const exited = once(child, "exit").then(([code]) =>
    typeof code === "number" ? code : undefined,
  );
  const watchers = new Set<(line: Line) => void>();
  createInterface(child.stderr).on("line", (text) => {
    const parsed = line.safeParse(JSON.parse(text));
    if (parsed.success) for (const look of watchers) look(parsed.data);
  });
  return {
    exited,
    signal: (name) => void child.kill(name),
    untilLog: (message) =>
      new Promise((resolve) => {
        const look = (found: Line) => {
          if (found.msg !== message) return;
          watchers.delete(look);
          resolve(found);
        };
        watchers.add(look);
      }),
    async kill() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}
