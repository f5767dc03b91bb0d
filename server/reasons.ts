/** The closed lists of reasons and statuses that metrics, logs and answers share. */

/** Why a snapshot was skipped. */
export const skipReasons = [
  "in_flight",
  "predicted_miss",
  "draining",
  "overloaded",
  "no_prover",
] as const;
export type SkipReason = (typeof skipReasons)[number];

/** How a group ended. */
export const outcomeStatuses = [
  "proved",
  "proved_late",
  "nothing_to_prove",
  "rejected",
  "not_started",
  "stopped",
  "failed",
] as const;
export type OutcomeStatusName = (typeof outcomeStatuses)[number];

/** What ended a prover process: itself, the kernel, the service on purpose, or the operator. */
export const endCauses = [
  "died",
  "start_failed",
  "refused",
  "killed_for_memory",
  "wedged",
  "memory",
  "fence",
  "cancelled",
  "preempted",
  "draining",
  "restart",
] as const;

/** Why a caller is unknown: the call is unauthenticated. */
export const unknownReasons = [
  "no_credentials",
  "unknown_certificate",
  "unknown_token",
  "expired_token",
  "token_in_clear",
  "unknown_socket",
] as const;
export type UnknownReason = (typeof unknownReasons)[number];

/** What a known caller is not allowed: this call, this node or this priority. */
export const forbiddenReasons = ["call", "node", "priority"] as const;
export type ForbiddenReason = (typeof forbiddenReasons)[number];

/** Why a call was denied. */
export const deniedReasons = [...unknownReasons, ...forbiddenReasons] as const;
export type DeniedReason = (typeof deniedReasons)[number];

/** What a principal has a quota of, under the names of the policy file. */
export const quotaNames = [
  "sessionsInFlight",
  "heldBytes",
  "proverSecondsPerMinute",
  "streams",
  "callsPerMinute",
] as const;
export type QuotaName = (typeof quotaNames)[number];
