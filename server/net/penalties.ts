/**
 * Addresses whose connection was cut for what it did. For a while, new connections from there are
 * served some time apart, so that a client that reconnects at once takes little of the others' time.
 * Clients that share such an address wait too, but no longer.
 */
import { limits } from "../limits.js";

export class Penalties {
  private readonly addresses = new Map<string, { untilMs: number; nextAtMs: number }>();

  blame(address: string, nowMs: number): void {
    const nextAtMs = this.addresses.get(address)?.nextAtMs ?? nowMs;
    this.addresses.delete(address); // to the end: the most recent one goes last
    this.addresses.set(address, { untilMs: nowMs + limits.penaltyMs, nextAtMs });
    const [oldest] = this.addresses.keys();
    if (this.addresses.size > limits.penaltiesMax && oldest !== undefined)
      this.addresses.delete(oldest);
  }

  /** Takes the next turn for a connection that comes from there now: when it is to be served. */
  turnAtMs(address: string, nowMs: number): number {
    const penalty = this.addresses.get(address);
    if (penalty === undefined || nowMs >= penalty.untilMs) return nowMs;
    const nextAtMs = Math.max(nowMs, penalty.nextAtMs) + limits.penaltyEveryMs;
    penalty.nextAtMs = Math.min(nextAtMs, nowMs + limits.penaltyMs);
    return penalty.nextAtMs;
  }
}
