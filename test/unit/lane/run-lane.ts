/** Runs a lane's state machine through events, for tests. */
import type { LaneEffect, LaneEvent, LaneState } from "../../../server/lane/lane-events.js";
import { freshLane, transitionLane } from "../../../server/lane/lane-state.js";

export const options = {
  standbyBytesMax: Infinity,
  residentBytesMax: 1000,
  refreshShare: 0,
} as const;
const quiet = { activeSilentMs: 0, standbySilentMs: 0, residentBytes: 0, isRefreshDue: false };
export const beat = (changes: Partial<typeof quiet> = {}): LaneEvent => ({
  kind: "beat",
  ...quiet,
  ...changes,
});

export function run(events: readonly (LaneEvent | [LaneEvent, number])[], from = freshLane) {
  let state: LaneState = from;
  const effects: LaneEffect[] = [];
  for (const each of events) {
    const [event, nowMs] = Array.isArray(each) ? each : [each, 0];
    const next = transitionLane(state, event, nowMs, options);
    ({ state } = next);
    effects.push(...next.effects.filter(({ kind }) => kind !== "announce"));
  }
  return { state, effects };
}

/** Prover 1 is active and idle, prover 2 stands by. */
export const up: LaneEvent[] = [
  { kind: "open" },
  { kind: "ready", prover: 1, residentBytes: 100 },
  beat(),
  { kind: "ready", prover: 2, residentBytes: 100 },
];
export const assign: LaneEvent = { kind: "assign", lease: 1, attempt: 7 };
