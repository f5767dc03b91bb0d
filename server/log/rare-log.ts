/** Logs each kind of warning at most once a minute, and how many were left out since. */
import type { Clock } from "../clock.js";
import type { Logger } from "./log.js";

const EVERY_MS = 60_000;
/** Kinds that count apart; beyond that, all others count as one. */
const KINDS_MAX = 100;

export class RareLog {
  readonly #kinds = new Map<string, { atMs: number; leftOut: number }>();

  constructor(private readonly modules: { readonly clock: Clock; readonly log: Logger }) {}

  /** @param kind what may be logged once a minute */
  warn(kind: string, fields: Record<string, unknown>, text: string): void {
    const { clock, log } = this.modules;
    const key = this.#kinds.has(kind) || this.#kinds.size < KINDS_MAX ? kind : "";
    const last = this.#kinds.get(key);
    const nowMs = clock.nowMs();
    if (last !== undefined && nowMs - last.atMs < EVERY_MS) {
      last.leftOut++;
      return;
    }
    this.#kinds.set(key, { atMs: nowMs, leftOut: 0 });
    log.warn({ ...fields, leftOut: last?.leftOut ?? 0 }, text);
  }
}
