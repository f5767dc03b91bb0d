/** Lane hosts as the operator sees them; what a service without an engine has none of. */

/**
 * `used`: its lanes get work. `joining`: heard, until its clock and its provers are known. `left_out`:
 * heard, but it speaks another version, or some of its devices have one proof system too many.
 * `distrusted`: heard, but its proofs or verdicts were wrong. `gone`: not heard any more.
 */
export const heardHostStates = ["used", "joining", "left_out", "distrusted"] as const;
export type LaneHostState = (typeof heardHostStates)[number] | "gone";

export interface LaneHostView {
  readonly id: string;
  readonly state: LaneHostState;
  /** Empty while it is not known. */
  readonly run: string;
  /** Why it gets no work or is gone, or what is wrong with it, for people; else empty. */
  readonly cause: string;
  readonly heardAtMs: number;
  /** This service's clock less the host's, in milliseconds; undefined while that is not known. */
  readonly offsetMs: number | undefined;
  /** The devices whose lanes are used, as this service names them. */
  readonly deviceIds: readonly string[];
  /** Attempts that it has; of one that is gone, those that ended with it. */
  readonly attempts: number;
}

/** What a service knows of its engine and of the lane hosts on it. Totals are since its start. */
export interface FleetView {
  readonly engine: { readonly isUp: boolean; readonly detail: string; readonly cell: string };
  /** Those that are heard, and those that are gone lately, by id. */
  readonly hosts: readonly LaneHostView[];
  readonly adopted: number;
  readonly taken: number;
  /** Times that a host was gone, by cause. */
  readonly gone: readonly { readonly cause: string; readonly count: number }[];
  readonly attemptsGone: number;
}
