/**
 * Prover time that each node has used lately, which orders nodes of one class, and each principal,
 * which is held to its quota. A use fades, halved with every half-life, and is forgotten in the end.
 */

/** Two slots of 4 s: a node that was served last slot is behind one that was not. */
export const SLOTS_HALF_LIFE_MS = 8000;
/** With this one a steady use stands at what it is over a minute. */
export const MINUTE_HALF_LIFE_MS = 60_000 * Math.LN2;
/** Less than this is nothing. */
const FORGOTTEN_MS = 1;

export class Usage {
  private readonly entries = new Map<string, { usedMs: number; atMs: number }>();

  constructor(private readonly halfLifeMs: number) {}

  /** Milliseconds of prover time, faded; 0 for one who has used none. */
  of(name: string, nowMs: number): number {
    const entry = this.entries.get(name);
    if (entry === undefined) return 0;
    return entry.usedMs * 0.5 ** ((nowMs - entry.atMs) / this.halfLifeMs);
  }

  /** Adds prover time, or takes back what was charged too much. */
  charge(name: string, ms: number, nowMs: number): void {
    const usedMs = Math.max(0, this.of(name, nowMs) + ms);
    this.entries.set(name, { usedMs, atMs: nowMs });
  }

  /** Forgets who has used next to nothing. */
  expire(nowMs: number): void {
    for (const name of this.entries.keys())
      if (this.of(name, nowMs) < FORGOTTEN_MS) this.entries.delete(name);
  }
}
