/**
 * The priorities that a snapshot can have. The policy, the schedule, the RPC messages and the
 * command line all take them from this list.
 */

/** Names by the number in RPC messages; a smaller number is scheduled first. */
export const priorityNames = { 1: "proposal", 2: "aggregation", 3: "backlog" } as const;
export type PriorityNumber = keyof typeof priorityNames;
export type PriorityName = (typeof priorityNames)[PriorityNumber];

/** The highest priority: the block of the node's own present slot. */
export const PROPOSAL = 1 satisfies PriorityNumber;
/** Votes of the present slots, and the bodies of later blocks, which let votes go first. */
export const AGGREGATION = 2 satisfies PriorityNumber;
/** The lowest priority: backlog never preempts, may be preempted, and gets a turn now and then. */
export const BACKLOG = 3 satisfies PriorityNumber;
