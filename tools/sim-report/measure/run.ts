/** What came of a scenario under one policy: the record that the measures are taken from. */

/** How one group of one snapshot ended; in the order of `asksOf`. */
export interface AskResult {
  /** `proved`, or why not, for counting. */
  ending: string;
  /** When a lane took it up. */
  startedAtMs: number | undefined;
  /** When its verified proof was there. */
  provedAtMs: number | undefined;
  /** Validators whose votes the proof has beyond the group's best child. */
  represented: readonly number[];
  /** Nothing that could be proved was left out. */
  isWhole: boolean;
}

export interface ProofRecord {
  lane: number;
  content: string;
  startedAtMs: number;
  /** Of the proof, or of the killed process. */
  endedAtMs: number;
  end: "proved" | "died" | "fence" | "preempted";
  /** Groups whose proof it became, in time. */
  served: number;
}

export interface RefusalRecord {
  at: "accept" | "dispatch";
  /** When what was refused had come. */
  askedAtMs: number;
  /** By the simulator's truth. */
  wouldHaveMadeIt: boolean;
}

/** A backlog proof that was killed for a higher class. */
export interface PreemptionRecord {
  /** Of the killed proof. */
  startedAtMs: number;
  /** It would have ended in time for what it was killed for. */
  isNeedless: boolean;
}

export interface Run {
  asks: AskResult[];
  proofs: ProofRecord[];
  refusals: RefusalRecord[];
  preemptions: PreemptionRecord[];
}

export const notProved = (ending: string): AskResult => ({
  ending,
  startedAtMs: undefined,
  provedAtMs: undefined,
  represented: [],
  isWhole: false,
});
