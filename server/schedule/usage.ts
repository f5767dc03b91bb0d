/**
 * Prover time that each node has used lately: what orders nodes of one class. A use fades, halved
 * with every `HALF_LIFE_MS`, so that it counts over the last slots and is forgotten after minutes.
 */

/** Two slots of 4 s: a node that was served last slot is behind one that was not. */
const HALF_LIFE_MS = 8000;
/** Less than this is nothing. */
const FORGOTTEN_MS = 1;

export class Usage {
  private readonly entries = new Map<string, { usedMs: number; atMs: number }>();

  /** Milliseconds of prover time, faded; 0 for a node that has used none. */
  of(nodeId: string, nowMs: number): number {
    const entry = this.entries.get(nodeId);
    if (entry === undefined) return 0;
    return entry.usedMs * 0.5 ** ((nowMs - entry.atMs) / HALF_LIFE_MS);
  }

  /** Adds prover time, or takes back what was charged too much. */
  charge(nodeId: string, ms: number, nowMs: number): void {
    const usedMs = Math.max(0, this.of(nodeId, nowMs) + ms);
    this.entries.set(nodeId, { usedMs, atMs: nowMs });
  }

  /** Forgets who has used next to nothing. */
  expire(nowMs: number): void {
    for (const nodeId of this.entries.keys())
      if (this.of(nodeId, nowMs) < FORGOTTEN_MS) this.entries.delete(nodeId);
  }
}
