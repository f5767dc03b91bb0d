/** One group of one session, from its acceptance to its end, as the page's model keeps it. */
import type { Event, Size, VoteFates } from "./answer.js";

export type Accepted = Extract<Event, { kind: "accepted" }>;

export interface Group {
  /** Unique: the session's id and the index of the group in its snapshot. */
  readonly key: string;
  readonly session: Accepted;
  readonly index: number;
  readonly size: Size;
  /** When its first attempt started. */
  startedAtMs: number | undefined;
  /** The numbers of its attempts, the newest last. */
  readonly attempts: number[];
  /** When the first proof of the newest attempt started; undefined while its inputs are verified. */
  provingAtMs: number | undefined;
  end: GroupEnd | undefined;
}

export interface GroupEnd {
  atMs: number;
  status: string;
  reason: string;
  votes: VoteFates;
  proveMs: number;
}
