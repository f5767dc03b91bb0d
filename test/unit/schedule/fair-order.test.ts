/** Nodes take turns by their use of the provers, however much the groups of one are worth. */
import { expect, test } from "vitest";
import { groupOfRaws, TestScheduler } from "../../helpers/scheduler.js";
import { groupOf, PROVE_MS, proved, range, TreeLanes } from "../../helpers/tree-lanes.js";

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

test("beside nodes that flood with trees of jobs, a small group waits for a tree or two", async () => {
  const lanes = new TreeLanes(["a"]);
  const flooders = range(8).map((nth) => `flood-${nth}`);
  const submitted = new Map<string, number>();
  const hasEnded = (node: string) => lanes.outcomes(node).length === (submitted.get(node) ?? 0);
  const submit = (node: string, raws: number) => {
    const nth = (submitted.get(node) ?? 0) + 1;
    submitted.set(node, nth);
    const nowMs = lanes.clock.nowMs();
    const limits = { deadlineAtMs: nowMs + 1e5, fenceAtMs: nowMs + 1e5 };
    lanes.submit(node, { ...groupOf(raws), digest: `${node} ${nth}` }, limits);
  };
  const waitsMs: number[] = [];
  let sinceMs = 0;
  for (let jobs = 1; jobs <= 600; jobs++) {
    for (const node of flooders) if (hasEnded(node)) submit(node, 16);
    if (hasEnded("steady")) {
      if (submitted.has("steady")) waitsMs.push(lanes.clock.nowMs() - sinceMs);
      sinceMs = lanes.clock.nowMs();
      submit("steady", 2);
    }
    await lanes.until(jobs * PROVE_MS);
    lanes.end(proved);
  }
  // Eight leaves and a fold.
  const treeMs = 9 * PROVE_MS;
  // Once it has had its first turn, the others come: they have used nothing, and each has a turn.
  const [, second = 0, ...later] = waitsMs;
  expect(second).toBeLessThanOrEqual(8 * treeMs + PROVE_MS);
  expect(later.length).toBeGreaterThan(30);
  expect(Math.max(...later)).toBeLessThanOrEqual(2 * treeMs + PROVE_MS);
});
