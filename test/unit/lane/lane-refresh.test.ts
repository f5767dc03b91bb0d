/** A lane's machine refreshes costs while idle, and an attempt that comes goes to the standby. */
import { expect, test } from "vitest";
import { limits } from "../../../server/limits.js";
import type { LaneEvent } from "../../../server/lane/lane-events.js";
import { assign, beat, run, up } from "./run-lane.js";

const due = beat({ isRefreshDue: true });

test("an idle lane refreshes its costs beside a ready standby only, and not while drained", () => {
  expect(run([...up, due]).state.phase).toEqual({ kind: "refreshing" });
  expect(run([...up, due]).effects).toContainEqual({ kind: "refresh" });
  expect(run([...up.slice(0, -1), due]).state.phase).toEqual({ kind: "idle" });
  const drain = {
    kind: "command",
    number: 1,
    command: { kind: "drain", isDrained: true },
  } as const;
  expect(run([...up, drain, due]).state.phase).toEqual({ kind: "idle" });
  expect(run([...up, assign, due]).state.phase).toMatchObject({ kind: "proving" });
  const { state } = run([...up, due, { kind: "refreshed", residentBytes: 5 }]);
  expect(state).toMatchObject({ phase: { kind: "idle" }, lease: 1, active: { prover: 1 } });
});

test("a refresh is killed at once for an attempt, which the standby proves", () => {
  const gone: LaneEvent = { kind: "exited", prover: 1, why: "SIGKILL", isRefused: false };
  const killed = run([...up, due, assign]);
  expect(killed.state.phase).toEqual({ kind: "handing_over", attempt: 7 });
  expect(killed.effects.at(-1)).toEqual({ kind: "kill_prover", prover: 1, cause: "refresh" });
  const { state, effects } = run([...up, due, assign, assign, gone]);
  expect(state.phase).toMatchObject({ kind: "proving", attempt: 7 });
  expect(state.active).toMatchObject({ prover: 2, isUsed: true });
  expect(effects.at(-1)).toEqual({ kind: "run", attempt: 7 });
  // The result of the refresh, which came too late, changes nothing.
  expect(run([{ kind: "refreshed", residentBytes: 5 }], state).state).toEqual(state);
});

test("an attempt that is killed, or has no standby left, while a refresh is killed is over", () => {
  const gone = (prover: number): LaneEvent => {
    return { kind: "exited", prover, why: "SIGKILL", isRefused: false };
  };
  const kill = { kind: "kill", lease: 1, attempt: 7, reason: "cancelled" } as const;
  const killed = run([...up, due, assign, kill, gone(1)]);
  expect(killed.state).toMatchObject({ phase: { kind: "idle" }, lease: 2, active: { prover: 2 } });
  const alone = run([...up, due, assign, gone(2), gone(1)]);
  expect(alone.state).toMatchObject({ phase: { kind: "starting" }, lease: 2 });
  expect([...killed.effects, ...alone.effects].map(({ kind }) => kind)).not.toContain("run");
});

test("an attempt that comes when the standby has gone is proved once the refresh has ended", () => {
  const gone: LaneEvent = { kind: "exited", prover: 2, why: "SIGKILL", isRefused: false };
  const waits = run([...up, due, gone, assign]);
  expect(waits.state.phase).toEqual({ kind: "handing_over", attempt: 7 });
  expect(waits.effects.map(({ kind }) => kind)).not.toContain("kill_prover");
  const proves = run([{ kind: "refreshed", residentBytes: 5 }], waits.state);
  expect(proves.state).toMatchObject({ phase: { kind: "proving", attempt: 7 }, lease: 1 });
  expect(proves.effects).toContainEqual({ kind: "run", attempt: 7 });

  const kill = { kind: "kill", lease: 1, attempt: 7, reason: "cancelled" } as const;
  const cancelled = run([kill], waits.state);
  expect(cancelled.state).toMatchObject({ phase: { kind: "refreshing" }, lease: 2 });
  const silent = beat({ activeSilentMs: limits.proverSilenceMsMax + 1 });
  const wedged = run([silent], waits.state);
  expect(wedged.state).toMatchObject({ phase: { kind: "stopping", cause: "wedged" }, lease: 2 });
});

test("a refresh whose prover falls silent ends it, and the standby takes over", () => {
  const silent = beat({ activeSilentMs: limits.proverSilenceMsMax + 1 });
  const { state } = run([...up, due, silent]);
  expect(state.phase).toEqual({ kind: "stopping", cause: "wedged" });
});
