/**
 * Compares what a principal uses with its quota. `Admission` skips a snapshot over a quota as
 * `overloaded`: the next one may fit. `Access` refuses calls and streams over theirs.
 */
import type { QuotaName } from "../reasons.js";

/** What a principal may use. An absent quota means the service's own limit; calls have none. */
export interface Quota {
  /** Sessions without a summary yet; a snapshot that replaces another still counts beside it. */
  sessionsInFlight?: number | undefined;
  /** Snapshots and results held for the principal, in bytes. */
  heldBytes?: number | undefined;
  /** Proving time for its nodes, averaged over about a minute; recent proofs count most. */
  proverSecondsPerMinute?: number | undefined;
  /** `StreamResults` calls open at once. */
  streams?: number | undefined;
  /** Calls started, streams included: the average rate, and the burst after a quiet minute. */
  callsPerMinute?: number | undefined;
}

/** The principal that submits a snapshot, and its quota. */
export interface SubmittingPrincipal {
  readonly name: string;
  readonly quota: Quota;
}

/** What a principal uses at the moment. */
export interface UsedNow {
  sessionsInFlight: number;
  heldBytes: number;
  proverSecondsPerMinute: number;
}

/**
 * The first quota that one more session of `bytes` would exceed, with a message for the client;
 * undefined when there is none.
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
    return broken("heldBytes", `${usage.heldBytes} are held, this snapshot needs ${bytes}`);
  }
  if (usage.proverSecondsPerMinute >= proverSecondsPerMinute) {
    const used = usage.proverSecondsPerMinute.toFixed(1);
    return broken("proverSecondsPerMinute", `${used} s were used`);
  }
  return undefined;
}

/** The message for a client over its quota; `used` says what it uses now. */
export function overQuotaDetail(
  { name, quota }: SubmittingPrincipal,
  which: QuotaName,
  used: string,
): string {
  return `quota ${which} of principal ${name} is ${quota[which] ?? 0}, and ${used}`;
}
