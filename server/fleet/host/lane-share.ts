/**
 * One lane shared by several doors, as a synchronous state machine: `(state, event, now) → (state,
 * effects)`. The lane below knows one scheduler, which numbers its attempts and commands; the doors
 * above have numbers of their own, and their messages may be lost, delayed, doubled or overtaken. No
 * clock, timer or I/O in here; `host-lane.ts` feeds events and carries out the effects in their order.
 */
import { assertNever } from "../../errors.js";
import type { Announcement } from "../../lane/lane-messages.js";
import type { Step } from "./lane-doors.js";
import {
  command,
  confirm,
  enqueue,
  ignore,
  isSamePeer,
  news,
  recordOf,
  sendCommand,
  stay,
  withRecord,
} from "./lane-doors.js";
import {
  adopt,
  burn,
  ended,
  expire,
  fenceWithin,
  kill,
  lose,
  withoutOwners,
} from "./lane-owners.js";
import type { SharedAttempt, ShareEffect, ShareEvent, ShareState } from "./lane-share-events.js";
import { leaseOf, sharedReport } from "./shared-report.js";

export const freshShare: ShareState = {
  heard: null,
  burnt: 0,
  sequence: 0,
  attempt: null,
  lastAttempt: 0,
  held: [],
  doors: [],
  pending: [],
  lastCommand: 0,
  isClosing: false,
};

/**
 * @param nowMs the host's monotonic clock
 * @returns effects in the order in which to carry them out: ends before the announcement of the lease
 *   that follows, the announcement before the fetch of the work
 */
export function transitionShare(
  state: ShareState,
  event: ShareEvent,
  nowMs: number,
): { state: ShareState; effects: readonly ShareEffect[] } {
  // Fences come first: a proof that is ready at its last fence is too late.
  const expired = expire(state, nowMs);
  const late = giveUpFetch(expired.state, nowMs);
  const last = react(late.state, event, nowMs);
  const effects = [expired, late, last].flatMap((step) => step.effects);
  const isNews = expired.isNews || late.isNews || last.isNews;
  const { heard } = last.state;
  if (!isNews || heard === null) return { state: last.state, effects };
  const sequence = last.state.sequence + 1;
  const announced = { ...last.state, sequence };
  const report = sharedReport(announced, heard, nowMs);
  const isEnd = (effect: ShareEffect) => effect.kind === "end";
  return {
    state: announced,
    effects: [
      ...effects.filter(isEnd),
      { kind: "announce", sequence, report },
      ...effects.filter((effect) => !isEnd(effect)),
    ],
  };
}

/** The next instant at which the state changes by itself; Infinity for none. Send a `tick` then. */
export function nextTickMs({ attempt, held }: ShareState): number {
  const untilMs = attempt?.stage.kind === "fetching" ? attempt.stage.untilMs : Infinity;
  const owners = attempt?.owners ?? [];
  return Math.min(untilMs, ...[...owners, ...held].map(({ fenceAtMs }) => fenceAtMs));
}

function react(state: ShareState, event: ShareEvent, nowMs: number): Step {
  switch (event.kind) {
    case "announced":
      return announced(state, event.announcement);
    case "ended":
      return ended(state, event, nowMs);
    case "assign":
      return assign(state, event, nowMs);
    case "adopt":
      return adopt(state, event, nowMs);
    case "kill":
      return kill(state, event);
    case "command":
      return command(state, event);
    case "fetched":
      return fetched(state, event.attempt);
    case "fetch_failed": {
      const { attempt } = state;
      const isFetching = attempt?.stage.kind === "fetching" && attempt.number === event.attempt;
      return isFetching ? lose(state, attempt) : stay(state);
    }
    case "tick":
      return stay(state);
    case "close":
      return close(state);
    default:
      return assertNever(event);
  }
}

function assign(
  state: ShareState,
  { door, lease, attempt: own, assignment }: Extract<ShareEvent, { kind: "assign" }>,
  nowMs: number,
): Step {
  const { heard, attempt } = state;
  // No answer to a stale message: answers would multiply. The next announcement has the state.
  if (heard === null || lease !== leaseOf(state)) return ignore(state, "stale");
  if (attempt !== null) {
    const isOwner = attempt.owners.some((owner) => isSamePeer(owner, door));
    return ignore(state, isOwner ? "repeated" : "taken");
  }
  if (own <= recordOf(state, door).left) return ignore(state, "repeated");
  const fenceAtMs = fenceWithin(assignment.fenceAtMs, nowMs);
  if (!isOpen(state, heard) || fenceAtMs <= nowMs) return burn(state);
  const number = state.lastAttempt + 1;
  const { isFirstOfSession, isRetry, deadlineAtMs } = assignment;
  const mayStartLate = isFirstOfSession || isRetry;
  const untilMs = mayStartLate ? fenceAtMs : Math.min(fenceAtMs, deadlineAtMs);
  const from = { ...door, attempt: own };
  const taken: SharedAttempt = {
    number,
    laneLease: heard.lease,
    assignment: { ...assignment, fenceAtMs },
    owners: [{ ...from, fenceAtMs }],
    stage: { kind: "fetching", untilMs },
  };
  return news(
    { ...withRecord(state, recordOf(state, door)), attempt: taken, lastAttempt: number },
    { kind: "fetch", attempt: number, from, assignment: taken.assignment },
  );
}

/** Whether the lane below would take an attempt now. */
function isOpen({ isClosing }: ShareState, { phase, isDrained }: Announcement): boolean {
  return phase.kind === "idle" && !isDrained && !isClosing;
}

function fetched(state: ShareState, number: number): Step {
  const { attempt } = state;
  if (attempt?.stage.kind !== "fetching" || attempt.number !== number) return stay(state);
  const given: SharedAttempt = { ...attempt, stage: { kind: "given" } };
  return { ...stay({ ...state, attempt: given }), effects: [assignmentOf(given)] };
}

function assignmentOf({ number, laneLease, assignment }: SharedAttempt): ShareEffect {
  return { kind: "assign", lease: laneLease, attempt: number, assignment };
}

/** Ends an attempt whose work did not come in time. */
function giveUpFetch(state: ShareState, nowMs: number): Step {
  const { attempt } = state;
  const isLate = attempt?.stage.kind === "fetching" && attempt.stage.untilMs <= nowMs;
  return isLate ? lose(state, attempt) : stay(state);
}

/** The lane below announces itself: at each change, and twice a second. */
function announced(state: ShareState, heard: Announcement): Step {
  if (state.heard !== null && heard.sequence <= state.heard.sequence) return stay(state);
  const next = confirm({ ...state, heard });
  const judged = judge(next, heard);
  return { ...judged, effects: [...judged.effects, ...sendCommand(next)] };
}

/** What the announcement says of the attempt. */
function judge(state: ShareState, heard: Announcement): Step {
  const { attempt } = state;
  if (attempt === null) return news(state);
  const { number, laneLease, stage } = attempt;
  if (stage.kind === "fetching") {
    // The prover has died, or the lane was drained: it would not take the attempt.
    const isTakeable = isOpen(state, heard) && heard.lease === laneLease;
    return isTakeable ? news(state) : lose(state, attempt);
  }
  if (heard.lease !== laneLease) {
    const over = { ...withoutOwners(state, attempt.owners), attempt: null };
    return stage.kind === "given"
      ? news(over, { kind: "forget_work", attempt: number })
      : news(over);
  }
  // What the lane below has not acted on is sent again.
  if (stage.kind === "given" && heard.phase.kind !== "proving") {
    return news(state, assignmentOf(attempt));
  }
  if (stage.kind === "leaving") {
    const { reason } = stage;
    return news(state, { kind: "kill", lease: laneLease, attempt: number, reason });
  }
  return news(state);
}

function close(state: ShareState): Step {
  if (state.isClosing) return stay(state);
  const closing = { ...state, isClosing: true };
  const drain = enqueue(closing, { kind: "drain", isDrained: true }, null);
  return { ...drain, isNews: true };
}
