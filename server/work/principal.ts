/** Who submits a snapshot, and what its policy lets it use. */

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
