/**
 * A token bucket for each principal: it holds one minute of calls, starts full and fills evenly.
 * Used by `Access`.
 */

const MINUTE_MS = 60_000;

export class CallRate {
  /** By principal name, so that a reload of the policy fills no bucket. */
  private readonly buckets = new Map<string, { left: number; atMs: number }>();

  /** Takes one call from the bucket and returns 0, or returns the time in ms until one is free. */
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
