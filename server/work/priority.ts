/**
 * The priorities that a snapshot can have. The policy, the schedule, the RPC messages and the
 * command line all take them from this list.
 */

/** Names by the number in RPC messages; a smaller number is scheduled first. */
export const priorityNames = { 1: "proposal", 2: "aggregation", 3: "backlog" } as const;
export type PriorityNumber = keyof typeof priorityNames;
export type PriorityName = (typeof priorityNames)[PriorityNumber];

/** The lowest priority: backlog never preempts, may be preempted, and gets a turn now and then. */
export const BACKLOG = 3 satisfies PriorityNumber;
