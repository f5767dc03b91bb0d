/** Wakes those that wait for something to change. They look at once what has changed. */
import type { Clock } from "./clock.js";

export class Changes {
  private readonly waiters = new Set<() => void>();

  /** Wakes everybody that waits now. */
  announce(): void {
    for (const wake of [...this.waiters]) wake();
  }

  /** Calls `wake` at each `announce`, until the returned function is called. */
  subscribe(wake: () => void): () => void {
    this.waiters.add(wake);
    return () => this.waiters.delete(wake);
  }
}

/**
 * Resolves at the next change of one of `sources`, when `signal` aborts, or at the instant `atMs`
 * of the clock; without `until`, no instant ends the wait.
 */
export function nextChange(
  sources: readonly Changes[],
  signal: AbortSignal,
  until?: { clock: Clock; atMs: number },
): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const wake = () => {
      for (const release of releases) release();
      signal.removeEventListener("abort", wake);
      resolve();
    };
    const releases = sources.map((source) => source.subscribe(wake));
    if (until !== undefined) releases.push(until.clock.at(until.atMs, wake));
    signal.addEventListener("abort", wake);
  });
}
