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

/** Why an input is not in its group's proof. */
export const leftOutReasons = [
  "bad_signature",
  "wrong_leaf",
  "unknown_key",
  "bad_child",
  "other_system",
  "covered",
  "shed",
] as const;
export type LeftOutReason = (typeof leftOutReasons)[number];

/** What became of a vote of a group that has ended. */
export const voteFates = [
  "proved",
  "proved_late",
  ...leftOutReasons,
  "not_started",
  "stopped",
  "failed",
] as const;
export type VoteFate = (typeof voteFates)[number];

/** Why a group was not started. `min_inputs`: it has fewer inputs than its request asks for. */
export const notStartedReasons = [
  "deadline",
  "predicted_miss",
  "superseded",
  "cancelled",
  "draining",
  "limit",
  "set_aside",
  "memory",
  "min_inputs",
] as const;

/** Why a running proof was stopped. */
export const stopReasons = ["fence", "cancelled", "preempted", "superseded", "draining"] as const;

/** Why a proof failed. */
export const failureReasons = ["prover_died", "prover_error"] as const;

/** Why the votes of a whole group are in no proof. */
export const groupReasons = [
  ...new Set([...notStartedReasons, ...stopReasons, ...failureReasons]),
] as const;
export type GroupReason = (typeof groupReasons)[number];

/** How a call ended: the gRPC codes that the service answers. `canceled`: the caller left before. */
export const callCodes = [
  "ok",
  "canceled",
  "unknown",
  "invalid_argument",
  "deadline_exceeded",
  "not_found",
  "permission_denied",
  "resource_exhausted",
  "failed_precondition",
  "aborted",
  "unimplemented",
  "internal",
  "unavailable",
  "unauthenticated",
] as const;
export type CallCode = (typeof callCodes)[number];

/** Why a prover process ended, or did not start. */
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
  "superseded",
  "draining",
  "restart",
  "refresh",
] as const;

/** How a small proof that refreshes the learned costs ended; `disturbed`: it taught nothing. */
export const refreshResults = ["learned", "disturbed", "failed", "stopped"] as const;

/** How far an upgrade of the default proof system is; `returned`: the old revision is the default again. */
export const upgradeStates = ["waiting", "switched", "returned"] as const;
export type UpgradeStateName = (typeof upgradeStates)[number];

/**
 * How a proof by the next revision ended that nobody waited for. `differs`: the next revision does not
 * take the same inputs. `invalid`: the proof does not verify. `failed`: the prover died or reported an error.
 * `not_started`: no lane was idle, or no memory free. `stopped`: other work came, or it took too long.
 */
export const shadowResults = [
  "verified",
  "differs",
  "invalid",
  "failed",
  "not_started",
  "stopped",
] as const;
export type ShadowResult = (typeof shadowResults)[number];

/** Why a caller is unknown; the call is refused as unauthenticated. */
export const unknownReasons = [
  "no_credentials",
  "unknown_certificate",
  "unknown_token",
  "expired_token",
  "token_in_clear",
  "unknown_socket",
] as const;
export type UnknownReason = (typeof unknownReasons)[number];

/** What the policy does not allow a known caller: the call, the node or the priority. */
export const forbiddenReasons = ["call", "node", "priority"] as const;
export type ForbiddenReason = (typeof forbiddenReasons)[number];

/** Why a call was denied. */
export const deniedReasons = [...unknownReasons, ...forbiddenReasons] as const;
export type DeniedReason = (typeof deniedReasons)[number];

/**
 * Why no memory was free for a call. `budget`: not for any call of its size. `share`: it is, but the
 * call's connection or caller holds its share already.
 */
export const noMemoryCauses = ["budget", "share"] as const;
export type NoMemoryCause = (typeof noMemoryCauses)[number];

/** The quotas of a principal, by their names in the policy file. */
export const quotaNames = [
  "sessionsInFlight",
  "heldBytes",
  "proverSecondsPerMinute",
  "streams",
  "callsPerMinute",
] as const;
export type QuotaName = (typeof quotaNames)[number];
