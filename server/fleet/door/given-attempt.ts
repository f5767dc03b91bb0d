/** An attempt that a lane of a lane host was given, as its door knows it until the end. */
import type { LaneReport } from "../../lane/lane-messages.js";
import type { GroupWork } from "../../work/group.js";
import type { Kept } from "./kept-bytes.js";

/** The taking of a result. */
export interface Ending {
  /** Stops it. */
  readonly stop: AbortController;
  /** Whether all of the result is here: its host is needed no more. */
  isHere: boolean;
}

/** How the taking of a result is stopped, and what it reports. */
export interface Taking {
  /** Aborted when the result is useless. */
  readonly signal: AbortSignal;
  /** To be called once all of the result is here. */
  arrived(): void;
}

export interface GivenAttempt {
  readonly number: number;
  readonly work: GroupWork;
  /** Name of the proof system that the lane had when it was given the attempt. */
  readonly system: string;
  readonly fenceAtMs: number;
  /** How the lane got it. Only an assigned one uses the lease. */
  readonly given:
    | { readonly kind: "assigned"; readonly lease: number; readonly kept: Kept }
    | { readonly kind: "adopted"; readonly digest: string };
  /** How often it was sent, and when for the first time and for the last. */
  readonly sends: number;
  readonly givenAtMs: number;
  readonly sentAtMs: number;
  /** While the result is fetched and verified. */
  readonly ending: Ending | undefined;
}

/** Frees the work: the host has it, or needs it no more. */
export function release({ given }: GivenAttempt): void {
  if (given.kind === "assigned") given.kept.release();
}

/** Whether the lane is done with the attempt, or another door has taken the lane. */
export function isOver({ number, given }: GivenAttempt, report: LaneReport): boolean {
  const { phase, lease, adoptable } = report;
  const isRunning = phase.kind === "proving" && phase.attempt === number;
  if (given.kind === "adopted") {
    return !isRunning && !adoptable.some(({ digest }) => digest === given.digest);
  }
  const isTaken = phase.kind === "proving" && !isRunning && lease === given.lease;
  return isTaken || lease > given.lease;
}
