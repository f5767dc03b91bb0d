/** Nodes take turns by their use of the provers, however much the groups of one are worth. */
import { expect, test } from "vitest";
import { groupOfRaws, TestScheduler } from "../../helpers/scheduler.js";

const failed = { kind: "failed", reason: "prover_error", detail: "", deaths: 0 } as const;

test("a node that used a prover, if shortly, comes after one that did not", async () => {
  const scheduler = new TestScheduler(["a"]);
  scheduler.announceIdle("a", 1);
  scheduler.submit("flood", groupOfRaws("first", 3), { priority: 1 });
  scheduler.submit("flood", groupOfRaws("large", 64));
  scheduler.submit("quiet", groupOfRaws("small", 1));
  await scheduler.clock.runUntil(300, () => undefined);
  const [first] = scheduler.assignments;
  scheduler.hear("a", { kind: "ended", attempt: first?.attempt ?? 0, result: failed });
  scheduler.announceIdle("a", 2);
  expect(scheduler.assignments.map(({ assignment }) => assignment.digest)).toEqual([
    "first",
    "small",
  ]);
});

test("of nodes that used as much, the group worth most for its time is next", () => {
  const scheduler = new TestScheduler(["a"]);
  scheduler.announceIdle("a", 1);
  scheduler.submit("busy", groupOfRaws("first", 3));
  scheduler.submit("one", groupOfRaws("small", 1));
  scheduler.submit("two", groupOfRaws("medium", 16));
  const [first] = scheduler.assignments;
  scheduler.hear("a", { kind: "ended", attempt: first?.attempt ?? 0, result: failed });
  scheduler.announceIdle("a", 2);
  expect(scheduler.assignments.at(-1)?.assignment.digest).toBe("medium");
});
