/**
 * Limits the calls of each principal by a token bucket: a call takes one token. A bucket starts
 * full, with the calls of one minute, and refills evenly. Used by `Access`.
 */

const MINUTE_MS = 60_000;

export class CallRate {
  /** By principal name, so that a reload of the policy does not refill a bucket. */
  private readonly buckets = new Map<string, { left: number; atMs: number }>();

  /** Takes a token and returns 0. Without a token, returns the milliseconds until the next. */
  take(principal: string, callsPerMinute: number, nowMs: number): number {
    const bucket = this.buckets.get(principal) ?? { left: callsPerMinute, atMs: nowMs };
    const filled = ((nowMs - bucket.atMs) * callsPerMinute) / MINUTE_MS;
    const left = Math.min(callsPerMinute, bucket.left + filled);
    const isEnough = left >= 1;
    this.buckets.set(principal, { left: isEnough ? left - 1 : left, atMs: nowMs });
    return isEnough ? 0 : Math.ceil(((1 - left) * MINUTE_MS) / callsPerMinute);
  }

  /** Forgets all principals except these. */
  keep(principals: ReadonlySet<string>): void {
    for (const name of this.buckets.keys()) if (!principals.has(name)) this.buckets.delete(name);
  }
}
