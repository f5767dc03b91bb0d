/**
 * The end of a run. All slots are over by then, so whatever goes wrong here becomes a record, on which the
 * report judges, and loses no run. Nothing here waits without a limit.
 */
import type { RunRecord } from "./run-file.js";

/** A process that has not ended by then is killed. */
const END_MS_MAX = 30_000;
const ANSWER_MS_MAX = 10_000;

/** How a process ended; `failure`: what went wrong, in words that follow its name, or null. */
export interface Ending {
  what: string;
  tookMs: number;
  failure: string | null;
}

/** Resolves once the process has ended, by itself or by `kill`. */
export async function endingOf(
  what: string,
  exited: Promise<number | null>,
  kill: () => void,
): Promise<Ending> {
  const startMs = performance.now();
  const timer = setTimeout(kill, END_MS_MAX);
  const code = await exited;
  clearTimeout(timer);
  const tookMs = performance.now() - startMs;
  const late = tookMs >= END_MS_MAX ? `did not end within ${END_MS_MAX / 1000} s` : null;
  return { what, tookMs, failure: late ?? (code === 0 ? null : `ended with code ${String(code)}`) };
}

/** The answer of a process. Rejects when it takes too long. */
export async function answerOf<T>(what: string, answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    const late = () => reject(new Error(`${what} gave no answer in ${ANSWER_MS_MAX / 1000} s`));
    timer = setTimeout(late, ANSWER_MS_MAX);
  });
  return Promise.race([answer, limit]).finally(() => clearTimeout(timer));
}

export interface RunEnd {
  /** The last metrics of the aggregator's node. */
  metrics(): Promise<string>;
  stop(): Promise<Ending[]>;
}

/** Records how the run ended, and last that it is done. */
export async function recordEnd(
  { metrics, stop }: RunEnd,
  add: (record: RunRecord) => void,
): Promise<void> {
  try {
    add({ kind: "fates", votes: votesByFate(await metrics()) });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    add({ kind: "failure", text: `the last metrics are missing: ${why}` });
  }
  for (const { what, tookMs, failure } of await stop()) {
    add({ kind: "shutdown", what, tookMs });
    if (failure !== null) add({ kind: "failure", text: `${what} ${failure}` });
  }
  add({ kind: "done" });
}

/** Empty for a mode without an adapter. */
function votesByFate(metrics: string): Record<string, number> {
  const series = metrics.matchAll(/^lean_aggregator_votes_total\{fate="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...series].map(([, fate = "", count]) => [fate, Number(count)]));
}
