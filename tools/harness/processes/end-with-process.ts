/**
 * Ends what this process has started when it exits, and has signals exit it. One listener for all of
 * it: a fleet has more children than Node.js expects listeners of one event.
 */
import { constants } from "node:os";

const ends = new Set<() => void>();

/**
 * Calls `end` when this process exits, unless the returned function is called before. What came last ends
 * first: a process before the folder that it has files in.
 */
export function endWithProcess(end: () => void): () => void {
  if (ends.size === 0) process.once("exit", endAll);
  ends.add(end);
  return () => {
    ends.delete(end);
    if (ends.size === 0) process.off("exit", endAll);
  };
}

/** One that fails does not keep the others. */
function endAll(): void {
  for (const end of [...ends].reverse()) {
    try {
      end();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      process.stderr.write(`left behind: ${why}\n`);
    }
  }
}

type EndingSignal = "SIGINT" | "SIGTERM" | "SIGHUP";

/** Makes an exit of each of these signals. By default they end a process without one, and leave all behind. */
export function exitOnSignals(
  names: readonly EndingSignal[] = ["SIGINT", "SIGTERM", "SIGHUP"],
): void {
  for (const name of names) process.once(name, () => process.exit(128 + constants.signals[name]));
}
