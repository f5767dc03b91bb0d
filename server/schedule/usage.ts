/**
 * Prover time used lately: by each node, which orders nodes of one class, and by each principal,
 * which its quota bounds. Usage is halved with every half-life, and forgotten in the end.
 */

/** Two slots of 4 s: a node that was served last slot stands behind one that was not. */
export const SLOTS_HALF_LIFE_MS = 8000;
/** With this half-life a steady use amounts to the use of one minute. */
export const MINUTE_HALF_LIFE_MS = 60_000 * Math.LN2;
/** Usage below this is forgotten. */
const FORGOTTEN_MS = 1;

/** Who pays for a share of an attempt. */
export interface Payer {
  nodeId: string;
  /** Name of the principal. */
  principal: string;
}

export class Accounts {
  readonly nodes = new Usage(SLOTS_HALF_LIFE_MS);
  readonly principals = new Usage(MINUTE_HALF_LIFE_MS);

  /** Adds prover time, or subtracts what was charged too much. */
  charge({ nodeId, principal }: Payer, ms: number, nowMs: number): void {
    this.nodes.charge(nodeId, ms, nowMs);
    this.principals.charge(principal, ms, nowMs);
  }

  expire(nowMs: number): void {
    this.nodes.expire(nowMs);
    this.principals.expire(nowMs);
  }
}

export class Usage {
  private readonly entries = new Map<string, { usedMs: number; atMs: number }>();

  constructor(private readonly halfLifeMs: number) {}

  /** Prover time in milliseconds, faded; 0 for an unknown name. */
  of(name: string, nowMs: number): number {
    const entry = this.entries.get(name);
    if (entry === undefined) return 0;
    return entry.usedMs * 0.5 ** ((nowMs - entry.atMs) / this.halfLifeMs);
  }

  /** Adds prover time, or subtracts what was charged too much. */
  charge(name: string, ms: number, nowMs: number): void {
    const usedMs = Math.max(0, this.of(name, nowMs) + ms);
    this.entries.set(name, { usedMs, atMs: nowMs });
  }

  /** Forgets names whose usage has all but faded. */
  expire(nowMs: number): void {
    for (const name of this.entries.keys()) {
      if (this.of(name, nowMs) < FORGOTTEN_MS) this.entries.delete(name);
    }
  }
}
