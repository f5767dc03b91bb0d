/**
 * Compares what a principal uses with its quotas. `Admission` skips a snapshot over a quota, with
 * the reason `overloaded`: a later one may fit. `Access` refuses calls and streams over a quota.
 */
import type { QuotaName } from "../reasons.js";
import type { SubmittingPrincipal } from "../work/principal.js";

/** What a principal uses at the moment; the fields are named like the quotas. */
export interface UsedNow {
  sessionsInFlight: number;
  heldBytes: number;
  proverSecondsPerMinute: number;
}

/**
 * The first quota that one more session, of a snapshot of `bytes`, would exceed, with a message for
 * the client; undefined when none would be exceeded.
 */
export function brokenQuota(
  principal: SubmittingPrincipal,
  usage: UsedNow,
  bytes: number,
): { quota: QuotaName; detail: string } | undefined {
  const { quota } = principal;
  const { sessionsInFlight = Infinity, heldBytes = Infinity } = quota;
  const { proverSecondsPerMinute = Infinity } = quota;
  const broken = (which: QuotaName, used: string) => ({
    quota: which,
    detail: overQuotaDetail(principal, which, used),
  });
  if (usage.sessionsInFlight >= sessionsInFlight) {
    return broken("sessionsInFlight", `${usage.sessionsInFlight} sessions are in flight`);
  }
  if (usage.heldBytes + bytes > heldBytes) {
    return broken("heldBytes", `${usage.heldBytes} bytes are held; this snapshot needs ${bytes}`);
  }
  if (usage.proverSecondsPerMinute >= proverSecondsPerMinute) {
    const used = usage.proverSecondsPerMinute.toFixed(1);
    return broken("proverSecondsPerMinute", `${used} s were used`);
  }
  return undefined;
}

/** The message for a client over a quota. @param used a sentence: what the client uses now */
export function overQuotaDetail(
  { name, quota }: SubmittingPrincipal,
  which: QuotaName,
  used: string,
): string {
  return `quota ${which} of principal ${name} is ${quota[which] ?? 0}, and ${used}`;
}
