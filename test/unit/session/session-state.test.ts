/** The session machine: each group ends once, and only its current attempt may end it. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { ProofResult } from "../../../server/work/group.js";
import type {
  SessionEffect,
  SessionEvent,
  SessionState,
} from "../../../server/session/session-state.js";
import { isEnded, queuedGroup, transitionSession } from "../../../server/session/session-state.js";

const proved: ProofResult = {
  kind: "proved",
  proof: new Uint8Array(1),
  validators: [0],
  childrenFolded: [],
  leftOut: [],
  proveMs: 1,
};
const died: ProofResult = {
  kind: "failed",
  reason: "prover_died",
  detail: "signal SIGKILL",
  deaths: 1,
};
const fresh = (groups: number): SessionState => ({
  deadlineAtMs: 100,
  fenceAtMs: 200,
  groups: Array.from({ length: groups }, () => queuedGroup),
});

function run(groups: number, events: readonly [SessionEvent, number][]) {
  let state = fresh(groups);
  const effects: SessionEffect[] = [];
  for (const [event, nowMs] of events) {
    const next = transitionSession(state, event, nowMs);
    ({ state } = next);
    effects.push(...next.effects);
  }
  return { state, effects };
}

const started: SessionEvent = { kind: "started", group: 0, attempt: 1 };
const result = (attempt: number): SessionEvent => ({
  kind: "result",
  group: 0,
  attempt,
  result: proved,
  mayRetry: false,
});

test.each([
  [99, { isLate: false }],
  [100, { isLate: true }],
  [199, { isLate: true }],
])(
  "a proof that ends at %d ms is on time before the deadline and late from it on",
  (nowMs, want) => {
    const { effects } = run(1, [
      [started, 1],
      [result(1), nowMs],
    ]);
    expect(effects).toMatchObject([{ ending: { kind: "result", ...want } }, { kind: "summary" }]);
  },
);

test("a proof that ends at the fence is dropped and its group stopped", () => {
  const { effects } = run(1, [
    [started, 1],
    [result(1), 200],
  ]);
  expect(effects).toMatchObject([
    { ending: { kind: "stopped", reason: "fence" } },
    { kind: "summary" },
  ]);
});

test("a result of another attempt changes nothing", () => {
  const { effects } = run(1, [
    [started, 2],
    [result(2), 50],
  ]);
  expect(effects).toEqual([]);
});

test("the deadline ends queued groups and leaves running ones", () => {
  const { effects } = run(2, [
    [started, 1],
    [{ kind: "deadline" }, 100],
  ]);
  expect(effects).toMatchObject([
    { group: 1, ending: { kind: "not_started", reason: "deadline" } },
  ]);
});

test.each(["fence", "drained", "cancel"] as const)("%s kills what runs, then ends it", (kind) => {
  const event: SessionEvent = kind === "cancel" ? { kind, groups: [0] } : { kind };
  const { effects } = run(1, [
    [started, 1],
    [event, 150],
  ]);
  const reason = { fence: "fence", drained: "draining", cancel: "cancelled" }[kind];
  expect(effects).toMatchObject([
    { kind: "stop", attempt: 1, reason },
    { kind: "end", ending: { kind: "stopped", reason, attempt: 1 } },
    { kind: "summary" },
  ]);
});

const failed = (attempt: number, mayRetry: boolean): SessionEvent => ({
  kind: "result",
  group: 0,
  attempt,
  result: died,
  mayRetry,
});

test("a group whose prover died gets a second attempt, past the deadline too, and then fails", () => {
  const again: SessionEvent = { kind: "started", group: 0, attempt: 2 };
  const first = run(1, [
    [started, 1],
    [failed(1, true), 50],
    [{ kind: "deadline" }, 100],
  ]);
  expect(first.effects).toEqual([]);
  expect(first.state.groups[0]).toMatchObject({ kind: "queued" });
  const { effects } = run(1, [
    [started, 1],
    [failed(1, true), 50],
    [{ kind: "deadline" }, 100],
    [again, 110],
    [failed(2, true), 150],
  ]);
  expect(effects).toMatchObject([
    { ending: { kind: "result", attempt: 2, result: died } },
    { kind: "summary" },
  ]);
});

test("a second attempt that is lost past the deadline is made up for until the fence", () => {
  const { effects, state } = run(1, [
    [started, 1],
    [failed(1, true), 50],
    [{ kind: "started", group: 0, attempt: 2 }, 60],
    [{ kind: "lost", group: 0, attempt: 2 }, 150],
  ]);
  expect(effects).toEqual([]);
  expect(state.groups[0]).toMatchObject({ kind: "queued", failure: { attempt: 1 } });
});

test("a group that waits for its second attempt at the fence ends as the first failed", () => {
  const { effects } = run(1, [
    [started, 1],
    [failed(1, true), 50],
    [{ kind: "fence" }, 200],
  ]);
  expect(effects).toMatchObject([
    { ending: { kind: "result", attempt: 1, result: died } },
    { kind: "summary" },
  ]);
});

test("over any sequence of events every group ends at most once, the summary is last and once", () => {
  const event = fc.oneof(
    fc.record({
      kind: fc.constant("result" as const),
      group: fc.nat(2),
      attempt: fc.nat(3),
      result: fc.constantFrom(proved, died),
      mayRetry: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant("cancel" as const),
      groups: fc.array(fc.nat(3), { maxLength: 3 }),
    }),
    fc.constantFrom<SessionEvent>(
      { kind: "deadline" },
      { kind: "fence" },
      { kind: "supersede" },
      { kind: "outdate" },
      { kind: "drain" },
      { kind: "drained" },
    ),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(event, fc.nat(250)), { maxLength: 30 }),
      fc.nat(2),
      (events, group) => {
        const start: [SessionEvent, number] = [{ kind: "started", group, attempt: 1 }, 0];
        const { state, effects } = run(3, [start, ...events]);
        const ends = effects.flatMap((effect) => (effect.kind === "end" ? [effect.group] : []));
        expect(new Set(ends).size).toBe(ends.length);
        expect(effects.filter(({ kind }) => kind === "summary")).toHaveLength(
          isEnded(state) ? 1 : 0,
        );
        if (isEnded(state)) expect(effects.at(-1)).toEqual({ kind: "summary" });
      },
    ),
  );
});
