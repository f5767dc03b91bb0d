/**
 * The niceness of a prover in the node's own process. On Linux each thread has one, which the threads that it
 * starts inherit; the prover's are those of the library, and the one of libuv's that calls it.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { getPriority, setPriority } from "node:os";

const TASKS = "/proc/self/task";

/** Processor time of each thread of this process, in ticks of the kernel, by the thread's id. */
export function threadTimes(): Map<number, number> {
  const times = new Map<number, number>();
  for (const thread of readdirSync(TASKS)) {
    try {
      const text = readFileSync(`${TASKS}/${thread}/stat`, "utf8");
      // After the name, which ends with the last bracket: the state, then numbers. See proc(5).
      const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
      times.set(Number(thread), Number(fields[11]) + Number(fields[12]));
    } catch (error) {
      if (existsSync(`${TASKS}/${thread}`)) throw error; // else the thread has ended
    }
  }
  return times;
}

/**
 * Sets the niceness, unless it is higher, of the threads that have started since `before`, and of the one that has worked most
 * since then of those that were there, the main thread aside.
 */
export function yieldSince(before: ReadonlyMap<number, number>, nice: number): void {
  const now = [...threadTimes()];
  const worked = now
    .filter(([thread]) => before.has(thread) && thread !== process.pid)
    .map(([thread, time]) => ({ thread, ticks: time - (before.get(thread) ?? 0) }));
  const [busiest] = worked.sort((a, b) => b.ticks - a.ticks);
  const started = now.map(([thread]) => thread).filter((thread) => !before.has(thread));
  for (const thread of busiest === undefined ? started : [...started, busiest.thread]) {
    try {
      setPriority(thread, Math.max(nice, getPriority(thread)));
    } catch (error) {
      if (existsSync(`${TASKS}/${thread}`)) throw error;
    }
  }
}
