/** The principal that submits a snapshot, and what the policy lets it use. */

/**
 * The most that a principal may use. Where a quota is undefined, only the service's own limit
 * applies, or no limit in the case of calls.
 */
export interface Quota {
  /** Sessions that have not ended. One that the new snapshot replaces counts while it has a running proof. */
  sessionsInFlight?: number | undefined;
  /** Snapshots and results held for the principal, in bytes; of what the new snapshot replaces, only the results. */
  heldBytes?: number | undefined;
  /** Proving time in seconds per minute, averaged over about a minute; recent proofs count most. */
  proverSecondsPerMinute?: number | undefined;
  /** Number of `StreamResults` calls that may be open at once. */
  streams?: number | undefined;
  /** Calls, streams included, that may start in a minute; after a quiet minute, all at once. */
  callsPerMinute?: number | undefined;
}

/** The principal's name and quota. */
export interface SubmittingPrincipal {
  readonly name: string;
  readonly quota: Quota;
}
