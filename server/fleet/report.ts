/**
 * Translates the state of a lane: what its host tells every door becomes the report that one door's
 * dispatcher knows, with instants of the door's clock. Pure.
 */
import type { LaneReport } from "../lane/lane-messages.js";
import type { Owner, Peer, SharedReport } from "./messages.js";

/** What the host's share of a lane adds to the lane's own report. Instants are of its clock. */
export interface LaneShareState {
  readonly lease: number;
  /** The attempt that has the lane from its assignment until the lease ends; null without one. */
  readonly taken: {
    readonly digest: string;
    readonly owners: readonly Owner[];
    readonly fenceAtMs: number;
  } | null;
  readonly held: readonly { readonly digest: string; readonly fenceAtMs: number }[];
  /** The last command of each door that the lane has carried out. */
  readonly commandsDone: readonly { readonly door: Peer; readonly number: number }[];
}

/** The report for all doors, made of the lane's own. */
export const sharedReport: (
  report: LaneReport,
  share: LaneShareState,
  nowMs: number,
) => SharedReport = () => {
  throw new Error("is not there yet");
};

/**
 * The report for one door's dispatcher.
 *
 * @param deviceId of the lane at the door, `<host>.<device>`
 * @param nowMs when the message was received, by the door's clock
 */
export const reportFor: (
  door: Peer,
  deviceId: string,
  shared: SharedReport,
  nowMs: number,
) => LaneReport = () => {
  throw new Error("is not there yet");
};
