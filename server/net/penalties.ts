/**
 * The client addresses of which a connection was cut for misuse. For `penaltyMs`, new connections
 * from such an address are served `penaltyEveryMs` apart, so that a client that reconnects at once
 * takes little of the service's time. All clients of the address wait, each at most `penaltyMs`.
 */
import { limits } from "../limits.js";

export class Penalties {
  /** Instants on the monotonic clock, by address; the address blamed last is the last entry. */
  private readonly addresses = new Map<string, { untilMs: number; nextAtMs: number }>();

  /** Starts the penalty of an address, or prolongs it. */
  blame(address: string, nowMs: number): void {
    const nextAtMs = this.addresses.get(address)?.nextAtMs ?? nowMs;
    this.addresses.delete(address); // so that `set` adds it at the end
    this.addresses.set(address, { untilMs: nowMs + limits.penaltyMs, nextAtMs });
    const [oldest] = this.addresses.keys();
    if (this.addresses.size > limits.penaltiesMax && oldest !== undefined)
      this.addresses.delete(oldest);
  }

  /** When to serve a connection accepted now: `nowMs`, or the turn that it takes in a penalty. */
  turnAtMs(address: string, nowMs: number): number {
    const penalty = this.addresses.get(address);
    if (penalty === undefined || nowMs >= penalty.untilMs) return nowMs;
    const nextAtMs = Math.max(nowMs, penalty.nextAtMs) + limits.penaltyEveryMs;
    penalty.nextAtMs = Math.min(nextAtMs, nowMs + limits.penaltyMs);
    return penalty.nextAtMs;
  }
}
