/**
 * What this door has adopted on one lane: proofs that run there for another door, or are held. An
 * adoption lasts while the lane's announcements show it, and ends with the first result under its
 * number. Pure, since messages may be lost, delayed, doubled or overtaken.
 */
import type { LaneReport, ToLane } from "../../lane/lane-messages.js";

/** `adopt` is sent to a lane that does not show the adoption at most this often. */
const SENDS_MAX = 10;
/** Milliseconds between two sendings: a held proof is fetched and verified within them. */
const SEND_EVERY_MS = 250;

export type AdoptMessage = Extract<ToLane, { kind: "adopt" }>;

export interface Adoption {
  readonly message: AdoptMessage;
  readonly sends: number;
  readonly sentAtMs: number;
}

/** What an announcement says of the adoptions of its lane. */
export interface Review {
  /** Those that go on. */
  readonly adoptions: readonly Adoption[];
  /** Messages to send again. */
  readonly resend: readonly AdoptMessage[];
  /** Attempts of which no result will come: their work is not listed any more. */
  readonly lost: readonly number[];
  /** Attempts at work that is listed still, and was asked for too often. */
  readonly ignored: readonly number[];
}

export function review(
  adoptions: readonly Adoption[],
  { phase, adoptable }: Pick<LaneReport, "phase" | "adoptable">,
  nowMs: number,
): Review {
  const kept: Adoption[] = [];
  const resend: AdoptMessage[] = [];
  const lost: number[] = [];
  const ignored: number[] = [];
  for (const adoption of adoptions) {
    const { message, sends, sentAtMs } = adoption;
    const isShown = phase.kind === "proving" && phase.attempt === message.attempt;
    const isListed = adoptable.some(({ digest }) => digest === message.digest);
    const isDue = nowMs >= sentAtMs + SEND_EVERY_MS;
    if (isShown || (isListed && !isDue)) {
      kept.push(adoption);
    } else if (isListed && sends < SENDS_MAX) {
      kept.push({ message, sends: sends + 1, sentAtMs: nowMs });
      resend.push(message);
    } else if (isListed) {
      ignored.push(message.attempt);
    } else {
      lost.push(message.attempt);
    }
  }
  return { adoptions: kept, resend, lost, ignored };
}
