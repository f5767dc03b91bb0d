/** What a shared lane remembers of its doors, and their commands. Part of `lane-share.ts`; pure. */
import { limits } from "../../limits.js";
import type {
  DoorRecord,
  IgnoreCause,
  PendingCommand,
  ShareEffect,
  ShareEvent,
  ShareState,
} from "./lane-share-events.js";
import type { Peer } from "../wire/messages.js";

/** Runs remembered of one door: a new one, and the one before, whose messages may come late. */
export const RUNS_MAX = 2;

/** `isNews`: doors have to learn it. */
export interface Step {
  readonly state: ShareState;
  readonly effects: readonly ShareEffect[];
  readonly isNews: boolean;
}

export const stay = (state: ShareState): Step => ({ state, effects: [], isNews: false });
export const news = (state: ShareState, ...effects: readonly ShareEffect[]): Step => ({
  state,
  effects,
  isNews: true,
});
export const ignore = (state: ShareState, cause: IgnoreCause): Step => ({
  state,
  effects: [{ kind: "ignored", cause }],
  isNews: false,
});

export function isSamePeer(one: Peer, other: Peer): boolean {
  return one.id === other.id && one.run === other.run;
}

export function recordOf({ doors }: ShareState, { id, run }: Peer): DoorRecord {
  const found = doors.find((each) => isSamePeer(each, { id, run }));
  return found ?? { id, run, commandsDone: 0, left: 0 };
}

/** Remembers the record; forgets the door's older runs, and the door that was heard longest ago. */
export function withRecord(state: ShareState, record: DoorRecord): ShareState {
  const others = state.doors.filter((each) => !isSamePeer(each, record));
  const older = others.filter(({ id }) => id === record.id).slice(RUNS_MAX - 1);
  const kept = others.filter((each) => !older.includes(each));
  return { ...state, doors: [record, ...kept].slice(0, limits.doorsMax) };
}

/** Remembers that the door's attempt has left the lane. */
export function withLeft(state: ShareState, door: Peer, attempt: number): ShareState {
  const record = recordOf(state, door);
  return withRecord(state, { ...record, left: Math.max(record.left, attempt) });
}

/** Takes a door's command; the lane below gets one at a time, in the order in which they came. */
export function command(
  state: ShareState,
  { door, number, command }: Extract<ShareEvent, { kind: "command" }>,
): Step {
  const { pending } = state;
  const isPending = pending.some(
    ({ from }) => from !== null && isSamePeer(from.door, door) && from.number >= number,
  );
  if (isPending || number <= recordOf(state, door).commandsDone) return ignore(state, "repeated");
  if (state.isClosing || pending.length >= limits.laneCommandsMax) return ignore(state, "full");
  return enqueue(state, command, { door, number });
}

export function enqueue(
  state: ShareState,
  command: PendingCommand["command"],
  from: PendingCommand["from"],
): Step {
  const number = state.lastCommand + 1;
  const pending = [...state.pending, { number, command, from }];
  const next = { ...state, pending, lastCommand: number };
  return { ...stay(next), effects: pending.length === 1 ? sendCommand(next) : [] };
}

/** The first pending command, which is sent again until the lane below has confirmed it. */
export function sendCommand({ pending: [first] }: ShareState): ShareEffect[] {
  return first === undefined
    ? []
    : [{ kind: "command", number: first.number, command: first.command }];
}

/** Notes the commands that the lane below has carried out. */
export function confirm(state: ShareState): ShareState {
  const { heard, pending } = state;
  const done = pending.filter(({ number }) => number <= (heard?.commandsDone ?? 0));
  const rest = { ...state, pending: pending.slice(done.length) };
  return done.reduce<ShareState>((next, { from }) => {
    if (from === null) return next;
    const record = recordOf(next, from.door);
    return withRecord(next, { ...record, commandsDone: from.number });
  }, rest);
}
