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

/** Milliseconds of prover time, and the instant at which they were charged. */
export interface Charged {
  ms: number;
  atMs: number;
}

export class Accounts {
  readonly nodes = new Usage(SLOTS_HALF_LIFE_MS);
  readonly principals = new Usage(MINUTE_HALF_LIFE_MS);

  /** Adds `ms` of prover time to both accounts. */
  charge({ nodeId, principal }: Payer, ms: number, nowMs: number): void {
    this.nodes.charge(nodeId, ms, nowMs);
    this.principals.charge(principal, ms, nowMs);
  }

  /** Replaces an earlier charge by what was used. */
  settle({ nodeId, principal }: Payer, charged: Charged, usedMs: number, nowMs: number): void {
    this.nodes.settle(nodeId, charged, usedMs, nowMs);
    this.principals.settle(principal, charged, usedMs, nowMs);
  }

  expire(nowMs: number): void {
    this.nodes.expire(nowMs);
    this.principals.expire(nowMs);
  }
}

export class Usage {
  private readonly entries = new Map<string, Charged>();

  constructor(private readonly halfLifeMs: number) {}

  /** Prover time in milliseconds, faded until `nowMs`; 0 for an unknown name. */
  of(name: string, nowMs: number): number {
    const entry = this.entries.get(name);
    return entry === undefined ? 0 : this.faded(entry, nowMs);
  }

  /** Adds `ms` of prover time. */
  charge(name: string, ms: number, nowMs: number): void {
    const usedMs = Math.max(0, this.of(name, nowMs) + ms);
    this.entries.set(name, { ms: usedMs, atMs: nowMs });
  }

  /** Subtracts what is left of an earlier charge, and adds what was used instead. */
  settle(name: string, charged: Charged, usedMs: number, nowMs: number): void {
    this.charge(name, usedMs - this.faded(charged, nowMs), nowMs);
  }

  /** Forgets names whose usage has faded to less than `FORGOTTEN_MS`. */
  expire(nowMs: number): void {
    for (const name of this.entries.keys()) {
      if (this.of(name, nowMs) < FORGOTTEN_MS) this.entries.delete(name);
    }
  }

  private faded({ ms, atMs }: Charged, nowMs: number): number {
    return ms * 0.5 ** ((nowMs - atMs) / this.halfLifeMs);
  }
}
