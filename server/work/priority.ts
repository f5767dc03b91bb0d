/**
 * The priorities of a snapshot: one list for the policy, the schedule, the wire and the commands.
 */

/** By their number on the wire; a smaller number is scheduled first. */
export const priorityNames = { 1: "proposal", 2: "aggregation", 3: "backlog" } as const;
export type PriorityNumber = keyof typeof priorityNames;
export type PriorityName = (typeof priorityNames)[PriorityNumber];

/** The lowest priority: it never preempts, may be preempted, and gets a turn from time to time. */
export const BACKLOG = 3 satisfies PriorityNumber;
