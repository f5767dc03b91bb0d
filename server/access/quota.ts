/**
 * What one principal may use of the service, next to what it does use. A snapshot that goes beyond
 * is skipped as `overloaded`, with the quota named: the next one may fit. Calls and streams beyond
 * theirs are refused by `Access`, in the same words.
 */

/** A quota that is absent is the service's own limit; calls have none. */
export interface Quota {
  /** Sessions without a summary yet. A snapshot that replaces another needs room beside it. */
  sessionsInFlight?: number | undefined;
  /** Snapshots and results that the service keeps for it, in bytes. */
  heldBytes?: number | undefined;
  /** Of proving for its nodes: over about a minute, the latest counting most. */
  proverSecondsPerMinute?: number | undefined;
  /** `StreamResults` calls at once. */
  streams?: number | undefined;
  /** Calls begun, streams too: on average, and as many at once after a minute without any. */
  callsPerMinute?: number | undefined;
}

/** Who submits, for the accounts. */
export interface SubmittingPrincipal {
  readonly name: string;
  readonly quota: Quota;
}

export const quotaNames = [
  "sessionsInFlight",
  "heldBytes",
  "proverSecondsPerMinute",
  "streams",
  "callsPerMinute",
] as const satisfies readonly (keyof Quota)[];
export type QuotaName = (typeof quotaNames)[number];

/** What a principal uses at the moment. */
export interface UsedNow {
  sessionsInFlight: number;
  heldBytes: number;
  proverSecondsPerMinute: number;
}

/** The first quota that one more session of `bytes` would break, and how. */
export function brokenQuota(
  { name, quota }: SubmittingPrincipal,
  usage: UsedNow,
  bytes: number,
): { quota: QuotaName; detail: string } | undefined {
  const { sessionsInFlight = Infinity, heldBytes = Infinity } = quota;
  const { proverSecondsPerMinute = Infinity } = quota;
  const broken = (which: QuotaName, used: string) => {
    const detail = `quota ${which} of principal ${name} is ${quota[which] ?? 0}, and ${used}`;
    return { quota: which, detail };
  };
  if (usage.sessionsInFlight >= sessionsInFlight) {
    return broken("sessionsInFlight", `${usage.sessionsInFlight} sessions are in flight`);
  }
  if (usage.heldBytes + bytes > heldBytes) {
    return broken("heldBytes", `${usage.heldBytes} are held, this snapshot needs ${bytes}`);
  }
  if (usage.proverSecondsPerMinute >= proverSecondsPerMinute) {
    const used = usage.proverSecondsPerMinute.toFixed(1);
    return broken("proverSecondsPerMinute", `${used} s were used`);
  }
  return undefined;
}
