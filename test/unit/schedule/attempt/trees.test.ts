/** A group over the limits of one proof is proved by several jobs, and ends once. */
import { describe, expect, test } from "vitest";
import {
  LeftOutReason,
  OutcomeStatus,
} from "../../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Assignment } from "../../../../server/lane/lane-messages.js";
import type { FoldWork } from "../../../../server/work/group.js";
import { foldOf } from "../../../../tools/harness/decoded-group.js";
import * as trees from "../../../helpers/tree-lanes.js";

const {
  bytesOf,
  died,
  groupOf: group,
  participants,
  proved,
  provedBut,
  range,
  rawOut,
  shapes,
} = trees;
const { PROVE_MS, TreeLanes: Lanes } = trees;

describe("a group over the limits of one proof", () => {
  test("is proved by leaves and folds on one lane, and has one outcome with all validators", () => {
    const lanes = new Lanes(["a"]);
    lanes.submit("node", group(5));
    const works = lanes.endAll();
    expect(shapes(works)).toEqual([1, 2, 2, -3]);
    const [outcome, ...others] = lanes.outcomes("node");
    expect(others).toEqual([]);
    expect(outcome).toMatchObject({ status: OutcomeStatus.PROVED, attempt: 1, leftOut: [] });
    expect(outcome?.proof).toEqual(bytesOf([0, 3]));
    expect(participants(outcome?.participants ?? bytesOf([])).slice(0, 5)).toEqual(range(5));
  });

  test("is proved by all idle lanes at once", () => {
    const lanes = new Lanes(["a", "b", "c"]);
    lanes.submit("node", group(5));
    expect(lanes.open.map(({ lane }) => lane)).toEqual(["a", "b", "c"]);
    expect(shapes(lanes.endAll())).toEqual([1, 2, 2, -3]);
  });

  test("that fits is one job, as it was", () => {
    const lanes = new Lanes(["a"]);
    const small = group(2);
    lanes.submit("node", small);
    expect(lanes.open[0]?.assignment).toMatchObject({ digest: small.digest, isRetry: false });
    expect(shapes(lanes.endAll())).toEqual([2]);
  });

  test("has its children folded with the leaves, and names what is bad in any job", () => {
    const lanes = new Lanes(["a"], { separatesRaws: true, arities: 0b10100 });
    lanes.submit("node", group(4, [[0, 10, 11], [12]]));
    // Validator 0 is in the first child: three raw signatures are left.
    const leaf = lanes.end(provedBut([1]));
    expect(foldOf(leaf.work).raws.validators).toEqual([1]);
    const works: FoldWork[] = [];
    let rejected = 0;
    while (lanes.open.length > 0) {
      const { work } = lanes.end((assignment) => {
        const bad = foldOf(assignment.work).children.find(({ proof }) => proof[0] === 200);
        if (bad === undefined) return proved(assignment);
        rejected++;
        const input = { kind: "child", childIndex: bad.index } as const;
        const leftOut = [{ reason: "bad_child", input, digest: bytesOf([9]) } as const];
        return { kind: "too_few_inputs", inputs: 1, leftOut };
      });
      works.push(foldOf(work));
    }
    expect(rejected).toBe(1);
    const [outcome] = lanes.outcomes("node");
    expect(outcome).toMatchObject({ status: OutcomeStatus.PROVED, childrenFolded: [4] });
    // The bad child alone covered validator 0, whose raw signature is proved after all.
    expect(participants(outcome?.participants ?? bytesOf([]))).toEqual([0, 2, 3, 12]);
    expect(outcome?.leftOut.map(({ reason, input }) => [reason, input.value])).toEqual([
      [LeftOutReason.BAD_SIGNATURE, 1],
      [LeftOutReason.BAD_CHILD, 3],
    ]);
  });

  test("whose inputs are all invalid ends rejected", () => {
    const lanes = new Lanes(["a"]);
    lanes.submit("node", group(4));
    lanes.endAll(({ work }) => {
      const leftOut = foldOf(work).raws.validators.map((v) => rawOut(v, "bad_signature"));
      return { kind: "rejected", leftOut };
    });
    expect(lanes.outcomes("node")).toMatchObject([{ status: OutcomeStatus.REJECTED }]);
    expect(lanes.outcomes("node")[0]?.leftOut).toHaveLength(4);
  });
});

describe("a job", () => {
  test("whose prover dies is tried again, without a second attempt at the group", () => {
    const lanes = new Lanes(["a"]);
    lanes.submit("node", group(4));
    lanes.end(died);
    expect(shapes(lanes.endAll())).toEqual([2, 2, -2]);
    expect(lanes.outcomes("node")).toMatchObject([{ status: OutcomeStatus.PROVED, attempt: 1 }]);
  });

  test.each([
    [true, OutcomeStatus.PROVED],
    [false, OutcomeStatus.FAILED],
  ])("that fails twice is left out where inputs may be shed: %s", (mayShed, status) => {
    const lanes = new Lanes(["a"]);
    lanes.submit("node", group(4), { mayShed });
    const isFirst = ({ work }: Assignment) => foldOf(work).raws.validators.includes(0);
    lanes.endAll((assignment) => (isFirst(assignment) ? died() : proved(assignment)));
    const [outcome, ...others] = lanes.outcomes("node");
    expect(others).toEqual([]);
    expect(outcome?.status).toBe(status);
    if (!mayShed) return;
    expect(outcome?.leftOut.map(({ reason }) => reason)).toEqual([
      LeftOutReason.SHED,
      LeftOutReason.SHED,
    ]);
    expect(participants(outcome?.participants ?? bytesOf([]))).toEqual([2, 3]);
  });

  test("over which a third prover dies ends the tree", () => {
    const lanes = new Lanes(["a", "b"]);
    lanes.submit("node", group(12));
    lanes.endAll(died);
    expect(lanes.outcomes("node")).toMatchObject([{ status: OutcomeStatus.FAILED }]);
    expect(lanes.assignments.length).toBeLessThanOrEqual(5);
    expect(lanes.submit("other", group(12))).toMatchObject({ kind: "accepted" });
    expect(lanes.open).toEqual([]);
  });

  test("whose proof does not verify when it is folded is made again", () => {
    const lanes = new Lanes(["a"]);
    lanes.submit("node", group(4));
    lanes.end(proved);
    lanes.end(proved);
    lanes.end(({ work }) => {
      const [first] = foldOf(work).children;
      const input = { kind: "child", childIndex: first?.index ?? -1 } as const;
      return { kind: "rejected", leftOut: [{ reason: "bad_child", input, digest: bytesOf([1]) }] };
    });
    expect(shapes(lanes.endAll())).toEqual([2, -2]);
    expect(lanes.outcomes("node")).toMatchObject([{ status: OutcomeStatus.PROVED, leftOut: [] }]);
  });

  test("that is lost is assigned again", () => {
    const lanes = new Lanes(["a", "b"]);
    lanes.submit("node", group(4));
    const [first] = lanes.open;
    lanes.schedules.gone(first?.lane ?? "", "the host has gone");
    lanes.endAll();
    expect(lanes.outcomes("node")).toMatchObject([{ status: OutcomeStatus.PROVED, leftOut: [] }]);
  });

  test("after the first is not bound by the deadline", async () => {
    const lanes = new Lanes(["a"]);
    lanes.submit("node", group(4), { deadlineAtMs: 50, fenceAtMs: 1000 });
    expect(lanes.open[0]?.assignment).toMatchObject({ isRetry: false, isFirstOfSession: true });
    await lanes.until(200);
    lanes.end(proved);
    expect(lanes.open[0]?.assignment.isRetry).toBe(true);
    lanes.endAll();
    expect(lanes.outcomes("node")).toMatchObject([{ status: OutcomeStatus.PROVED_LATE }]);
  });

  test("has a fence of its own, which leaves time for the folds that follow", () => {
    const lanes = new Lanes(["a"]);
    lanes.submit("node", group(4), { fenceAtMs: 1000 });
    expect(lanes.open[0]?.assignment.fenceAtMs).toBeCloseTo(900, -1);
    lanes.end(proved);
    lanes.end(proved);
    expect(lanes.open[0]?.assignment.fenceAtMs).toBe(1000);
  });
});

describe("at the fence of a leaf", () => {
  test("what may be shed is, and the rest is folded in time", async () => {
    const lanes = new Lanes(["a", "b", "c"]);
    lanes.submit("node", group(6), { fenceAtMs: 1000 });
    lanes.end(proved, "a");
    lanes.end(proved, "b");
    await lanes.until(950);
    expect(lanes.sentOf("kill")).toMatchObject([{ lane: "c", reason: "fence" }]);
    expect(shapes(lanes.endAll())).toEqual([-2]);
    const [outcome] = lanes.outcomes("node");
    expect(outcome).toMatchObject({ status: OutcomeStatus.PROVED });
    expect(outcome?.leftOut.map(({ reason }) => reason)).toEqual([
      LeftOutReason.SHED,
      LeftOutReason.SHED,
    ]);
  });

  test("a group that may not shed is stopped, and all its jobs are killed", async () => {
    const lanes = new Lanes(["a", "b", "c"]);
    lanes.submit("node", group(6), { fenceAtMs: 1000, mayShed: false });
    lanes.end(proved, "a");
    await lanes.until(950);
    expect(
      lanes
        .sentOf("kill")
        .map(({ lane }) => lane)
        .sort(),
    ).toEqual(["b", "c"]);
    expect(lanes.outcomes("node")).toMatchObject([{ status: OutcomeStatus.STOPPED }]);
  });
});

describe("those that wait for a tree", () => {
  test("end by their own fences, and the last one's goes on", async () => {
    const lanes = new Lanes(["a"]);
    lanes.submit("early", group(4), { fenceAtMs: 300 });
    lanes.submit("late", group(4), { fenceAtMs: 1000 });
    await lanes.until(300);
    expect(lanes.outcomes("early")).toMatchObject([{ status: OutcomeStatus.STOPPED }]);
    expect(lanes.sentOf("kill")).toEqual([]);
    lanes.endAll();
    expect(lanes.outcomes("late")).toMatchObject([{ status: OutcomeStatus.PROVED, leftOut: [] }]);
  });

  test("have jobs with the fences of those that are left", async () => {
    const [alone, left] = [new Lanes(["a"]), new Lanes(["a"])];
    for (const lanes of [alone, left]) {
      lanes.submit("early", group(4), { fenceAtMs: 1000 });
      if (lanes === left) lanes.submit("late", group(4), { fenceAtMs: 6000 });
      lanes.end(proved);
      if (lanes === left) lanes.admission.cancel("late", "2", [0]);
      await lanes.until(999);
    }
    expect(left.outcomes("early")).toEqual(alone.outcomes("early"));
    expect(left.sentOf("kill").map(({ reason }) => reason)).toEqual(["fence"]);
  });

  test("share the time of all jobs", async () => {
    const lanes = new Lanes(["a", "b"]);
    lanes.submit("one", group(4));
    lanes.submit("two", group(4));
    await lanes.until(100);
    lanes.end(proved, "a");
    lanes.end(proved, "b");
    await lanes.until(200);
    lanes.endAll();
    const used = ["one", "two"].map((node) => lanes.usedMs(node));
    // Three jobs of 100 ms; what was used fades by half in 8 s.
    for (const ms of used) expect(Math.abs(ms - 150)).toBeLessThan(8);
  });

  test("cancel it together: every job is killed, and inner proofs are forgotten", () => {
    const lanes = new Lanes(["a", "b"]);
    lanes.submit("one", group(6));
    const heldBytes = () => lanes.memory.heldBytes;
    const before = heldBytes();
    lanes.end(proved, "a");
    expect(lanes.open).toHaveLength(2);
    expect(heldBytes()).toBe(before + 2);
    lanes.admission.cancel("one", "1", [0]);
    expect(
      lanes
        .sentOf("kill")
        .map(({ lane }) => lane)
        .sort(),
    ).toEqual(["a", "b"]);
    expect(lanes.open).toEqual([]);
    expect(lanes.outcomes("one")).toMatchObject([{ status: OutcomeStatus.STOPPED }]);
    expect(heldBytes()).toBeLessThan(before);
  });
});

test("a tree goes on where three of its lanes are gone at once, as with their machine", () => {
  const lanes = new Lanes(["a", "b", "c", "d"]);
  lanes.submit("node", group(8));
  expect(lanes.open).toHaveLength(4);
  for (const lane of ["a", "b", "c"]) lanes.dispatcher.gone(lane, "the host has gone");
  expect(lanes.outcomes("node")).toEqual([]);
  lanes.endAll();
  expect(lanes.outcomes("node")).toMatchObject([{ status: OutcomeStatus.PROVED }]);
});

test("a job whose proof finds no memory has failed, and the group ends", () => {
  const lanes = new Lanes(["a"]);
  lanes.submit("node", group(4), { mayShed: false });
  const rest = lanes.memory.reserve(1e9 - lanes.memory.heldBytes - 1);
  lanes.endAll();
  expect(rest?.heldBytes).toBeGreaterThan(0);
  expect(lanes.outcomes("node")).toMatchObject([
    {
      status: OutcomeStatus.FAILED,
      detail: "no memory is free for the proof of a job",
    },
  ]);
});

describe("the order", () => {
  test("is: jobs of a tree before other groups of the class, and after those of a higher one", () => {
    const lanes = new Lanes(["a"]);
    lanes.submit("tree", group(4));
    lanes.submit("other", group(1));
    lanes.submit("proposer", group(2), { priority: 1 });
    expect(shapes(lanes.endAll())).toEqual([2, 2, 2, -2, 1]);
  });

  test("preempts backlog for a job of a tree of a higher class", async () => {
    const lanes = new Lanes(["a", "b"], {}, 5000);
    const long = { priority: 3, fenceAtMs: 60_000, deadlineAtMs: 60_000 };
    lanes.submit("node", group(4), { fenceAtMs: 30_000 });
    const [leaf, other] = lanes.open;
    lanes.proving(leaf, { raws: 2, children: 0 });
    // The second lane gets backlog while the tree has nothing ready.
    lanes.end(proved, other?.lane);
    lanes.submit("backlog", group(2), long);
    for (const each of lanes.open.slice(1)) lanes.proving(each, { raws: 2, children: 0 });
    lanes.dispatcher.gone(leaf?.lane ?? "", "the host has gone");
    await lanes.until(20_000);
    expect(lanes.outcomes("backlog")).toMatchObject([{ status: OutcomeStatus.STOPPED }]);
  });

  test("is before no group of a higher class when backlog is preempted", () => {
    const lanes = new Lanes(["a", "b"], {}, 5000);
    const long = { fenceAtMs: 60_000, deadlineAtMs: 60_000 };
    lanes.submit("node", group(4), { fenceAtMs: 30_000 });
    const [leaf, other] = lanes.open;
    lanes.proving(leaf, { raws: 2, children: 0 });
    lanes.end(proved, other?.lane);
    lanes.submit("backlog", group(2), { ...long, priority: 3 });
    for (const each of lanes.open.slice(1)) lanes.proving(each, { raws: 2, children: 0 });
    lanes.dispatcher.gone(leaf?.lane ?? "", "the host has gone");
    const steps = [
      { untilAtMs: 7000, weight: 4 },
      { untilAtMs: 60_000, weight: 1 },
    ];
    lanes.submit("proposer", group(1), { ...long, priority: 1, steps });
    expect(lanes.outcomes("backlog")).toMatchObject([{ status: OutcomeStatus.STOPPED }]);
  });

  test("preempts backlog with a job that is likely in time, though not in the longest time", () => {
    const lanes = new Lanes(["a", "b"], {}, 5000);
    lanes.submit("node", group(4), { fenceAtMs: 10_400, deadlineAtMs: 12_000 });
    const [leaf, other] = lanes.open;
    lanes.proving(leaf, { raws: 2, children: 0 });
    lanes.end(proved, other?.lane);
    const long = { priority: 3, fenceAtMs: 60_000, deadlineAtMs: 60_000 };
    lanes.submit("backlog", group(2), long);
    for (const each of lanes.open.slice(1)) lanes.proving(each, { raws: 2, children: 0 });
    lanes.dispatcher.gone(leaf?.lane ?? "", "the host has gone");
    expect(lanes.outcomes("backlog")).toMatchObject([{ status: OutcomeStatus.STOPPED }]);
  });

  test("preempts a tree of backlog by all its jobs", async () => {
    const lanes = new Lanes(["a", "b"], {}, 5000);
    lanes.submit("backlog", group(8), { priority: 3, fenceAtMs: 60_000, deadlineAtMs: 60_000 });
    for (const each of lanes.open) lanes.proving(each, { raws: 2, children: 0 });
    lanes.submit("node", group(2), { deadlineAtMs: 400, fenceAtMs: 9000 });
    await lanes.until(300);
    expect(lanes.outcomes("backlog")).toMatchObject([{ status: OutcomeStatus.STOPPED }]);
    expect(
      lanes
        .sentOf("kill")
        .map(({ lane }) => lane)
        .sort(),
    ).toEqual(["a", "b"]);
  });
});

test("what is predicted of a group is its tree over the lanes as they come free", () => {
  const shape = { raws: 8, children: 0 };
  const predictedOn = (lanes: readonly string[]) => new Lanes(lanes).dispatcher.predictMs(shape);
  expect(predictedOn(["a"])).toBeCloseTo(4 * PROVE_MS + PROVE_MS, -1);
  expect(predictedOn(["a", "b", "c", "d"])).toBeCloseTo(2 * PROVE_MS, -1);
});
