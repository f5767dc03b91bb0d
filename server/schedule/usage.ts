/**
 * Prover time used recently. The time of each node decides which node's group of a class is next;
 * the time of each principal is bounded by its quota. Usage halves in every half-life, and is
 * forgotten once it is negligible.
 */

/** Two slots of 4 s: a node that was served in the last slot comes after one that was not. */
export const SLOTS_HALF_LIFE_MS = 8000;
/** With this half-life, steady use adds up to what is used in one minute. */
export const MINUTE_HALF_LIFE_MS = 60_000 * Math.LN2;
/** Usage below this many milliseconds is forgotten. */
const FORGOTTEN_MS = 1;

/** The node and the principal that are charged for a share of an attempt. */
export interface Payer {
  nodeId: string;
  /** Name of the principal. */
  principal: string;
}

export class Accounts {
  readonly nodes = new Usage(SLOTS_HALF_LIFE_MS);
  readonly principals = new Usage(MINUTE_HALF_LIFE_MS);

  /** Adds `ms` of prover time to both accounts; a negative `ms` corrects an earlier charge. */
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

  /** Prover time in milliseconds, faded until `nowMs`; 0 for an unknown name. */
  of(name: string, nowMs: number): number {
    const entry = this.entries.get(name);
    if (entry === undefined) return 0;
    return entry.usedMs * 0.5 ** ((nowMs - entry.atMs) / this.halfLifeMs);
  }

  /** Adds `ms` of prover time; a negative `ms` corrects an earlier charge. */
  charge(name: string, ms: number, nowMs: number): void {
    const usedMs = Math.max(0, this.of(name, nowMs) + ms);
    this.entries.set(name, { usedMs, atMs: nowMs });
  }

  /** Forgets names whose usage has faded to less than `FORGOTTEN_MS`. */
  expire(nowMs: number): void {
    for (const name of this.entries.keys()) {
      if (this.of(name, nowMs) < FORGOTTEN_MS) this.entries.delete(name);
    }
  }
}
