/** The network that `plan` answers for: who submits what, and until when votes count how much. Pure. */
export interface Network {
  validators: number;
  subnets: number;
  /** Aggregators of each subnet, which submit different votes: equal ones are proved once. */
  aggregators: number;
  slotMs: number;
  /** Intervals of a slot. Votes are aggregated in the last but two. */
  intervals: number;
  /** Proofs of other subnets that each group folds. */
  children: number;
  /** No proof starts later than this after its snapshot, in milliseconds. */
  deadlineMs: number;
}

/** A time after the snapshot, in milliseconds, and what a vote is worth until then. */
export interface PlanStep {
  untilMs: number;
  weight: number;
}

/** The steps of the adapter's default: the interval that ends, the next one, and the fence. */
export function stepsOf({ slotMs, intervals }: Network): readonly [PlanStep, PlanStep, PlanStep] {
  const intervalMs = slotMs / intervals;
  const fenceMs = 2 * slotMs - (intervals - 3) * intervalMs;
  return [
    { untilMs: intervalMs, weight: 4 },
    { untilMs: 2 * intervalMs, weight: 2 },
    { untilMs: fenceMs, weight: 1 },
  ];
}

/** Groups of all aggregators in a slot, as one service gets them. */
export function groupsOf({ subnets, aggregators }: Network): number {
  return subnets * aggregators;
}

/** Votes of a subnet: the largest one, where validators are not divided evenly. */
export function subnetVotes({ validators, subnets }: Network): number {
  return Math.ceil(validators / subnets);
}
