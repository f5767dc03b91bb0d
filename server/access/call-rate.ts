/**
 * How many calls each principal may begin just now: a bucket that holds a minute's worth, is full
 * at first, and is filled evenly. Asked by `Access`.
 */

const MINUTE_MS = 60_000;

export class CallRate {
  /** By name: a policy that is read again fills none. */
  private readonly buckets = new Map<string, { left: number; atMs: number }>();

  /** Takes a call out of the bucket, 0; or how long it will be until there is one, in ms. */
  take(principal: string, callsPerMinute: number, nowMs: number): number {
    const bucket = this.buckets.get(principal) ?? { left: callsPerMinute, atMs: nowMs };
    const filled = ((nowMs - bucket.atMs) * callsPerMinute) / MINUTE_MS;
    const left = Math.min(callsPerMinute, bucket.left + filled);
    const isEnough = left >= 1;
    this.buckets.set(principal, { left: isEnough ? left - 1 : left, atMs: nowMs });
    return isEnough ? 0 : Math.ceil(((1 - left) * MINUTE_MS) / callsPerMinute);
  }

  /** Forgets all others. */
  keep(principals: ReadonlySet<string>): void {
    for (const name of this.buckets.keys()) if (!principals.has(name)) this.buckets.delete(name);
  }
}
