/** The lane machine: one attempt at a time, a standby that takes over, and no hot loops. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { limits } from "../../../server/limits.js";
import type { LaneEvent } from "../../../server/lane/lane-events.js";
import type { OperatorCommand } from "../../../server/lane/lane-messages.js";
import { STANDBY_WAIT_MS_MAX, whyNoStandby } from "../../../server/lane/lane-standby.js";
import { transitionLane } from "../../../server/lane/lane-state.js";
import { assign, beat, options, run, up } from "./run-lane.js";

const exited = (prover: number, isRefused = false): LaneEvent => ({
  kind: "exited",
  prover,
  why: "signal SIGKILL",
  isRefused,
});

test("an idle lane runs an assignment, once, and reports its end", () => {
  const ended: LaneEvent = { kind: "ended", attempt: 7, residentBytes: 10 };
  const { state, effects } = run([...up, assign, assign, ended, ended]);
  expect(effects.slice(2)).toEqual([
    { kind: "run", attempt: 7 },
    { kind: "report", attempt: 7 },
  ]);
  expect(state).toMatchObject({ phase: { kind: "idle" }, lease: 2 });
});

test("a stale or doubled assignment gets no answer: answers to them would multiply", () => {
  const proving = run([...up, assign]).state;
  const ended = run([{ kind: "ended", attempt: 7, residentBytes: 1 }], proving).state;
  expect(transitionLane(proving, assign, 0, options).effects).toEqual([]);
  expect(transitionLane(ended, assign, 0, options).effects).toEqual([]);
});

test("a lane that cannot take an assignment uses its lease up, so that the scheduler learns it", () => {
  const { state, effects } = run([{ kind: "open" }, assign]);
  expect(effects).toEqual([{ kind: "start_prover", prover: 1 }]);
  expect(state.lease).toBe(2);
});

test("a kill that overtakes its assignment keeps it from being run", () => {
  const kill: LaneEvent = { kind: "kill", lease: 1, attempt: 7, reason: "cancelled" };
  const { state, effects } = run([...up, kill, assign]);
  expect(effects.some(({ kind }) => kind === "run")).toBe(false);
  expect(state).toMatchObject({ phase: { kind: "idle" }, lease: 2 });
});

test("the first of a kill and a result counts, whichever it is", () => {
  const kill: LaneEvent = { kind: "kill", lease: 1, attempt: 7, reason: "fence" };
  const ended: LaneEvent = { kind: "ended", attempt: 7, residentBytes: 10 };
  const killed = run([...up, assign, kill, ended]);
  expect(killed.effects.slice(3)).toEqual([{ kind: "kill_prover", prover: 1, cause: "fence" }]);
  const reported = run([...up, assign, ended, kill]);
  expect(reported.effects.slice(3)).toEqual([{ kind: "report", attempt: 7 }]);
});

test("after a kill the lane is busy until the process has ended; then the standby has the device", () => {
  const kill: LaneEvent = { kind: "kill", lease: 1, attempt: 7, reason: "fence" };
  const stopping = run([...up, assign, kill]);
  expect(stopping.state.phase).toEqual({ kind: "stopping", cause: "fence" });
  const next: LaneEvent = { kind: "assign", lease: 2, attempt: 8 };
  expect(run([next], stopping.state).effects).toEqual([]);
  const back = run([exited(1)], stopping.state);
  expect(back.state).toMatchObject({
    phase: { kind: "idle" },
    active: { prover: 2 },
    standby: null,
  });
});

test("a prover that dies in a proof ends its attempt, and the standby takes over", () => {
  const { state, effects } = run([...up, assign, exited(1)]);
  expect(effects.at(-1)).toEqual({ kind: "report_death", attempt: 7, why: "signal SIGKILL" });
  expect(state).toMatchObject({ phase: { kind: "idle" }, active: { prover: 2, status: "ready" } });
});

test("without a standby a prover that dies is started anew at once", () => {
  const { state, effects } = run([
    { kind: "open" },
    { kind: "ready", prover: 1, residentBytes: 100 },
    exited(1),
  ]);
  expect(effects.at(-1)).toEqual({ kind: "start_prover", prover: 2 });
  expect(state.phase.kind).toBe("starting");
});

test("the next standby is set up while the lane idles, or beside a proof after a bounded wait", () => {
  const promoted = run([[exited(1), 1000]], run(up).state).state;
  const busy = run([{ kind: "assign", lease: 1, attempt: 8 }], promoted).state;
  expect(run([[beat(), 1100]], promoted).effects).toEqual([{ kind: "start_prover", prover: 3 }]);
  expect(run([[beat(), 1100]], busy).effects).toEqual([]);
  const waited = run([[beat(), 1000 + STANDBY_WAIT_MS_MAX]], busy);
  expect(waited.effects).toEqual([{ kind: "start_prover", prover: 3 }]);
});

test("setups that fail wait 1 s, then twice as long each time, at most a minute", () => {
  let { state } = run([{ kind: "open" }]);
  const waits = [];
  let nowMs = 0;
  for (let prover = 1; prover <= 8; prover++) {
    ({ state } = run([[exited(prover), nowMs]], state));
    if (state.phase.kind !== "failed") throw new Error(`expected failed, is ${state.phase.kind}`);
    waits.push(state.phase.retryAtMs - nowMs);
    expect(run([[beat(), state.phase.retryAtMs - 1]], state).effects).toEqual([]);
    nowMs = state.phase.retryAtMs;
    ({ state } = run([[beat(), nowMs]], state));
  }
  expect(waits).toEqual([1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]);
});

test("a standby whose setup fails backs off too, and the active prover works on", () => {
  const failed = run([...up.slice(0, 3), [exited(2), 100]]);
  expect(failed.state.phase.kind).toBe("idle");
  expect(run([[beat(), 1000]], failed.state).effects).toEqual([]);
  expect(run([[beat(), 1100]], failed.state).effects).toEqual([
    { kind: "start_prover", prover: 3 },
  ]);
});

test("a refused library is tried again after ten minutes, or when the operator asks", () => {
  const { state } = run([{ kind: "open" }, exited(1, true)]);
  expect(state.phase).toMatchObject({ kind: "failed", retryAtMs: 600_000 });
  const restart: LaneEvent = {
    kind: "command",
    number: 1,
    command: { kind: "restart", role: "active" },
  };
  expect(run([[beat(), 599_999]], state).effects).toEqual([]);
  expect(run([[restart, 1]], state).effects).toEqual([{ kind: "start_prover", prover: 2 }]);
});

test("a refused standby says why, and a restart by the operator tries it again at once", () => {
  const start = { kind: "start_prover", prover: 3 };
  const starting = run(up.slice(0, -1)).state;
  const { state } = run([exited(2, true)], starting);
  expect(whyNoStandby(state, options)).toBe("signal SIGKILL");
  expect(run([[beat(), 599_999]], state).effects).toEqual([]);
  expect(run([[beat(), 600_000]], state).effects).toEqual([start]);
  expect(run([restartStandby, [beat(), 500]], state).effects).toEqual([start]);
});

test("a standby is set up if what a prover holds after its setup fits in memory", () => {
  const ready = run([{ kind: "open" }, { kind: "ready", prover: 1, residentBytes: 600e6 }]).state;
  const withRoom = (standbyBytesMax: number) => ({ ...options, standbyBytesMax });
  const effectsWith = (bytes: number) =>
    transitionLane(ready, beat(), 0, withRoom(bytes)).effects.map(({ kind }) => kind);
  expect(effectsWith(600e6 + 1)).toContain("start_prover");
  expect(effectsWith(600e6)).not.toContain("start_prover");
  expect(effectsWith(0)).not.toContain("start_prover");
  expect(whyNoStandby(ready, withRoom(500e6))).toBe(
    "a standby takes 600 MB, memory has room for 500 MB",
  );
  expect(whyNoStandby(ready, withRoom(0))).toBe("");
});

test("a silent prover is wedged: killed, its attempt ended, and the standby has the device", () => {
  const silent = beat({ activeSilentMs: limits.proverSilenceMsMax + 1 });
  const { state, effects } = run([...up, assign, silent]);
  expect(effects.slice(-2)).toMatchObject([
    { kind: "report_death", attempt: 7 },
    { kind: "kill_prover", prover: 1, cause: "wedged" },
  ]);
  expect(run([exited(1)], state).state).toMatchObject({ phase: { kind: "idle" }, lease: 2 });
});

test("a proof that runs beyond its limit is wedged", () => {
  const begun: LaneEvent = { kind: "proof_started", attempt: 7, overrunAtMs: 900 };
  const proving = run([...up, assign, begun]).state;
  expect(run([[beat(), 899]], proving).state.phase.kind).toBe("proving");
  expect(run([[beat(), 900]], proving).state.phase).toEqual({ kind: "stopping", cause: "wedged" });
});

test("a silent standby is killed, and the active prover works on", () => {
  const silent = beat({ standbySilentMs: limits.proverSilenceMsMax + 1 });
  const { state, effects } = run([...up, assign, silent]);
  expect(effects.at(-1)).toEqual({ kind: "kill_prover", prover: 2, cause: "wedged" });
  expect(state.phase.kind).toBe("proving");
});

test("a standby that is silent too does not take over: a new prover is set up", () => {
  const silent = beat({ activeSilentMs: 1e5, standbySilentMs: 1e5 });
  const { state, effects } = run([...up, assign, silent, silent]);
  expect(effects.slice(3)).toMatchObject([
    { kind: "kill_prover", prover: 2, cause: "wedged" },
    { kind: "report_death", attempt: 7 },
    { kind: "kill_prover", prover: 1, cause: "wedged" },
  ]);
  const after = run([exited(1), exited(2)], state);
  expect(after.effects).toEqual([{ kind: "start_prover", prover: 3 }]);
  expect(after.state).toMatchObject({ phase: { kind: "starting" }, standby: null });
});

test("a prover over its ceiling is replaced between proofs, never in one", () => {
  const heavy = { residentBytes: options.residentBytesMax + 1 };
  const proving = run([...up, assign]).state;
  expect(run([beat(heavy)], proving).effects).toEqual([]);
  const { effects } = run([{ kind: "ended", attempt: 7, ...heavy }], proving);
  expect(effects).toEqual([
    { kind: "report", attempt: 7 },
    { kind: "kill_prover", prover: 1, cause: "memory" },
  ]);
});

const order = (command: OperatorCommand, number = 1): LaneEvent => {
  return { kind: "command", number, command };
};
const restart = order({ kind: "restart", role: "active" });
const restartStandby = order({ kind: "restart", role: "standby" });
const drain = order({ kind: "drain", isDrained: true });

test("a prover that did not answer in an attempt is killed with the attempt's end", () => {
  const ended: LaneEvent = { kind: "ended", attempt: 7, residentBytes: 1, isWedged: true };
  const { state, effects } = run([...up, assign, restart, ended]);
  expect(effects.slice(-2)).toEqual([
    { kind: "report", attempt: 7 },
    { kind: "kill_prover", prover: 1, cause: "wedged" },
  ]);
  expect(run([exited(1)], state).state).toMatchObject({ phase: { kind: "idle" }, lease: 2 });
});

test("an operator's restart waits for the proof at hand; a drained lane takes nothing", () => {
  const proving = run([...up, assign, restart]);
  expect(proving.state.phase.kind).toBe("proving");
  const { effects } = run([{ kind: "ended", attempt: 7, residentBytes: 1 }], proving.state);
  expect(effects.at(-1)).toEqual({ kind: "kill_prover", prover: 1, cause: "restart" });
  const drained = run([...up, drain, assign]);
  expect(drained.state).toMatchObject({ phase: { kind: "idle" }, lease: 2 });
});

test("a command is carried out once and confirmed, one that was overtaken is not", () => {
  const undrain = order({ kind: "drain", isDrained: false }, 2);
  const drained = transitionLane(run(up).state, drain, 0, options);
  expect(drained.state).toMatchObject({ isDrained: true, commandsDone: 1 });
  expect(drained.effects).toEqual([{ kind: "announce" }]);
  const after = run([undrain, drain], drained.state).state;
  expect(after).toMatchObject({ isDrained: false, commandsDone: 2 });
  expect(transitionLane(after, drain, 0, options).effects).toEqual([]);
});

test("a command that there is nothing to do for is confirmed all the same", () => {
  const alone = run(up.slice(0, 2)).state;
  const { state, effects } = transitionLane(alone, restartStandby, 0, options);
  expect(effects).toEqual([{ kind: "announce" }]);
  expect(state.commandsDone).toBe(1);
});

test("a restart that was due is forgotten when the prover dies before its proof ends", () => {
  const died = run([...up, assign, restart, exited(1)]);
  const next: LaneEvent = { kind: "assign", lease: 2, attempt: 8 };
  const ended: LaneEvent = { kind: "ended", attempt: 8, residentBytes: 1 };
  const { effects } = run([next, ended], died.state);
  expect(effects).toEqual([
    { kind: "run", attempt: 8 },
    { kind: "report", attempt: 8 },
  ]);
});

test("a restart of a failed device tries setup at once, and backs off further if it fails", () => {
  const failed = run([{ kind: "open" }, exited(1)]);
  expect(failed.state.phase).toMatchObject({ kind: "failed", retryAtMs: 1000 });
  const tried = run([restart], failed.state);
  expect(tried.effects).toEqual([{ kind: "start_prover", prover: 2 }]);
  expect(run([order({ kind: "restart", role: "active" }, 2)], tried.state).effects).toEqual([]);
  const { phase } = run([exited(2)], tried.state).state;
  expect(phase).toMatchObject({ kind: "failed", retryAtMs: 2000 });
});

test("a restart of the standby leaves the active prover at its proof, and another is set up", () => {
  const { state, effects } = run([...up, assign, restartStandby]);
  expect(effects.at(-1)).toEqual({ kind: "kill_prover", prover: 2, cause: "restart" });
  expect(state.phase.kind).toBe("proving");
  const ended: LaneEvent = { kind: "ended", attempt: 7, residentBytes: 1 };
  const warming = run([exited(2), ended, beat()], state);
  expect(warming.effects.at(-1)).toEqual({ kind: "start_prover", prover: 3 });
  expect(run([order({ kind: "restart", role: "standby" }, 2)], warming.state).effects).toEqual([]);
});

test("a standby for which memory no longer suffices is killed, and another when it does again", () => {
  const none = { ...options, standbyBytesMax: 0 } as const;
  const { state, effects } = transitionLane(run([...up, assign]).state, beat(), 0, none);
  expect(effects).toContainEqual({ kind: "kill_prover", prover: 2, cause: "memory" });
  const ended: LaneEvent = { kind: "ended", attempt: 7, residentBytes: 1 };
  const alone = run([exited(2), ended], state);
  expect(transitionLane(alone.state, beat(), 0, none).effects).toEqual([{ kind: "announce" }]);
  expect(run([beat()], alone.state).effects).toEqual([{ kind: "start_prover", prover: 3 }]);
});

test("a closed lane kills both provers and starts none", () => {
  const closed = run([...up, assign, { kind: "close" }]);
  expect(closed.effects.slice(-2)).toEqual([
    { kind: "kill_prover", prover: 1, cause: "closed" },
    { kind: "kill_prover", prover: 2, cause: "closed" },
  ]);
  const after = run([exited(1), exited(2), [beat(), 1e6]], closed.state);
  expect(after.effects).toEqual([]);
});

test("over any events: one attempt at a time, each ended once, two provers at most", () => {
  const small = fc.integer({ min: 1, max: 4 });
  const event = fc.oneof(
    fc.record({ kind: fc.constant("ready" as const), prover: small, residentBytes: fc.nat(2000) }),
    fc.record({
      kind: fc.constant("exited" as const),
      prover: small,
      why: fc.constant("x"),
      isRefused: fc.boolean(),
    }),
    fc.record({ kind: fc.constant("assign" as const), lease: small, attempt: small }),
    fc.record({
      kind: fc.constant("kill" as const),
      lease: small,
      attempt: small,
      reason: fc.constant("fence" as const),
    }),
    fc.record({
      kind: fc.constant("ended" as const),
      attempt: small,
      residentBytes: fc.nat(2000),
      isWedged: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant("beat" as const),
      activeSilentMs: fc.nat(9000),
      standbySilentMs: fc.nat(9000),
      residentBytes: fc.nat(2000),
      isRefreshDue: fc.boolean(),
    }),
    fc.record({ kind: fc.constant("refreshed" as const), residentBytes: fc.nat(2000) }),
    fc.record({
      kind: fc.constant("command" as const),
      number: small,
      command: fc.oneof(
        fc.record({
          kind: fc.constant("restart" as const),
          role: fc.constantFrom("active" as const, "standby" as const),
        }),
        fc.record({ kind: fc.constant("drain" as const), isDrained: fc.boolean() }),
      ),
    }),
    fc.constant<LaneEvent>({ kind: "close" }),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(event, fc.nat(5000)), { maxLength: 60 }), (events) => {
      const living = new Set<number>();
      let running: number | null = null;
      let state = run([{ kind: "open" }]).state;
      living.add(1);
      for (const [each, nowMs] of events) {
        if (each.kind === "exited") living.delete(each.prover);
        const next = transitionLane(state, each, nowMs, options);
        ({ state } = next);
        for (const effect of next.effects) {
          if (effect.kind === "start_prover") living.add(effect.prover);
          if (effect.kind === "run") {
            expect(running).toBeNull();
            running = effect.attempt;
          }
          if (effect.kind === "report" || effect.kind === "report_death") {
            expect(effect.attempt).toBe(running);
            running = null;
          }
          if (effect.kind === "kill_prover" && effect.prover === state.active?.prover)
            running = null;
        }
        const held = [state.active, state.standby].flatMap((each) => each?.prover ?? []);
        expect(held.length).toBe(new Set(held).size);
        expect(held.length).toBeLessThanOrEqual(2);
      }
    }),
  );
});

test("a fresh prover that is over the memory ceiling by itself proves before it is replaced", () => {
  const heavy = { residentBytes: options.residentBytesMax + 1 };
  expect(run([...up, beat(heavy)]).effects).toEqual(run(up).effects);
  const { effects } = run([...up, beat(heavy), assign, { kind: "ended", attempt: 7, ...heavy }]);
  expect(effects.slice(-2)).toEqual([
    { kind: "report", attempt: 7 },
    { kind: "kill_prover", prover: 1, cause: "memory" },
  ]);
});
