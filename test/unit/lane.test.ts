/** The lane machine: one attempt at a time, and a bootstrap that fails is not tried again hot. */
import { expect, test } from "vitest";
import type { LaneState } from "../../server/schedule/lane.js";
import { transitionLane } from "../../server/schedule/lane.js";

test("an idle lane takes one attempt and refuses a second", () => {
  const { state } = transitionLane({ kind: "idle" }, { kind: "assign", attempt: 1 }, 0);
  expect(state).toEqual({ kind: "proving", attempt: 1 });
  expect(() => transitionLane(state, { kind: "assign", attempt: 2 }, 0)).toThrow(/proving/);
});

test("only the current attempt frees the lane", () => {
  const proving: LaneState = { kind: "proving", attempt: 2 };
  expect(transitionLane(proving, { kind: "attempt_ended", attempt: 1 }, 0).state).toBe(proving);
  expect(transitionLane(proving, { kind: "attempt_ended", attempt: 2 }, 0).state).toEqual({
    kind: "idle",
  });
});

test("a prover that dies while proving is started again", () => {
  const died = transitionLane(
    { kind: "proving", attempt: 1 },
    { kind: "prover_exited", cause: "x" },
    0,
  );
  expect(died).toEqual({
    state: { kind: "starting", failures: 0 },
    effects: [{ kind: "start_prover" }],
  });
});

test("start failures wait 1 s, then twice as long each time, at most a minute", () => {
  let state: LaneState = { kind: "starting", failures: 0 };
  const waits = [];
  for (let i = 0; i < 8; i++) {
    const failed = transitionLane(state, { kind: "start_failed", cause: "no" }, 0);
    if (failed.state.kind !== "failed") throw new Error("expected a failed lane");
    waits.push(failed.state.retryAtMs);
    ({ state } = transitionLane(failed.state, { kind: "retry" }, 0));
  }
  expect(waits).toEqual([1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]);
});
