/** Two attempts may run at the same work, for groups that differ in whether inputs may be shed. */
import { expect, test } from "vitest";
import { groupOfRaws, TestScheduler } from "../../helpers/scheduler.js";

const LANES = ["a", "b"];

test("a group that comes later joins one of them, the one that agrees with it", () => {
  const scheduler = new TestScheduler(LANES);
  for (const lane of LANES) scheduler.announceIdle(lane, 1);
  scheduler.submit("first", groupOfRaws("one", 1), { mayShed: true });
  scheduler.submit("second", groupOfRaws("two", 1), { mayShed: true });
  // A part is worth more than the whole, so those that may be cut do not share with others.
  scheduler.submit("may", groupOfRaws("same", 160), { mayShed: true });
  scheduler.submit("may-not", groupOfRaws("same", 160), { mayShed: false });
  for (const { lane, attempt } of scheduler.assignments.slice(0, LANES.length)) {
    const result = { kind: "failed", reason: "prover_error", detail: "", deaths: 0 } as const;
    scheduler.hear(lane, { kind: "ended", attempt, result });
    scheduler.announceIdle(lane, 2);
  }
  const large = scheduler.assignments.slice(LANES.length);
  expect(large.map(({ assignment }) => assignment.mayShed).sort()).toEqual([false, true]);

  expect(scheduler.submit("late", groupOfRaws("same", 160), { mayShed: false })).toMatchObject({
    kind: "accepted",
  });
  expect(scheduler.assignments).toHaveLength(2 * LANES.length);
});

test("a group is proved though the attempt that it joined had too few inputs for the others", () => {
  const scheduler = new TestScheduler(LANES);
  scheduler.announceIdle("a", 1);
  scheduler.submit("wants-three", groupOfRaws("same", 2), { mayShed: true, minInputs: 3 });
  scheduler.submit("wants-one", groupOfRaws("same", 2), { mayShed: true, minInputs: 1 });
  const [first] = scheduler.assignments;
  expect(first?.assignment.minInputs).toBe(3);
  const result = { kind: "too_few_inputs", inputs: 2, leftOut: [] } as const;
  scheduler.hear("a", { kind: "ended", attempt: first?.attempt ?? 0, result });
  scheduler.announceIdle("a", 2);
  expect(scheduler.assignments.map(({ assignment }) => assignment.minInputs)).toEqual([3, 1]);
});
