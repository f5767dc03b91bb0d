/** A door adopts what another one proves or has proved, for groups that wait for the same work. */
import { expect, test } from "vitest";
import {
  OutcomeReason,
  OutcomeStatus,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { LaneReport } from "../../../server/lane/lane-messages.js";
import { limits } from "../../../server/limits.js";
import type { ProofResult } from "../../../server/work/group.js";
import { costs } from "../../helpers/busy-lane.js";
import { metricValue } from "../../helpers/metric-value.js";
import { groupOfMerge, groupOfRaws, TestScheduler, provedResult } from "../../helpers/scheduler.js";

const FENCE_MS = 6000;
const whole = { startedAtMs: 0, shape: { raws: 2, children: 0 } };
const elsewhere = groupOfRaws("other", 1);
const work = groupOfRaws("work", 2);
const running = [{ digest: "work", fenceAtMs: FENCE_MS, isRunning: true }];
const held = [{ digest: "work", fenceAtMs: FENCE_MS, isRunning: false }];
const proved: ProofResult = { ...provedResult, validators: [0, 1], proveMs: 2000 };
const shed: ProofResult = {
  ...proved,
  validators: [0],
  leftOut: [
    {
      reason: "shed",
      input: { kind: "raw", validatorIndex: 1 },
      digest: new Uint8Array(32),
    },
  ],
};

const provedBy = (attempt: number | null): Partial<LaneReport> => ({
  phase: { kind: "proving", attempt, proof: whole },
  adoptable: running,
});

/** A lane that proves the work for another door. */
function takenLane(): TestScheduler {
  const scheduler = new TestScheduler(["a"]);
  scheduler.announce("a", 1, provedBy(null));
  return scheduler;
}

test("a running proof is adopted by all that wait for it, and its result ends them", async () => {
  const scheduler = takenLane();
  scheduler.submit("first", work);
  scheduler.submit("second", work);
  expect(scheduler.sent).toMatchObject([
    { lane: "a", message: { kind: "adopt", attempt: 1, digest: "work", fenceAtMs: 6400 } },
  ]);
  scheduler.announce("a", 1, provedBy(1));
  scheduler.hear("a", { kind: "ended", attempt: 1, result: proved });
  for (const node of ["first", "second"]) {
    expect(scheduler.outcomes(node)).toMatchObject([{ status: OutcomeStatus.PROVED }]);
  }
  expect(scheduler.sentOf("adopt")).toHaveLength(1);
  const adopted = "lean_aggregator_server_fleet_adopted_total";
  expect(await metricValue(scheduler.metrics.registry, adopted)).toBe(1);
});

test("a resubmission is no predicted miss while its proof runs, other work is", async () => {
  const scheduler = takenLane();
  const soon = { deadlineAtMs: 100 };
  expect(scheduler.submit("node", elsewhere, soon)).toMatchObject({ reason: "predicted_miss" });
  expect(scheduler.submit("node", work, soon)).toMatchObject({ kind: "accepted" });
});

test("a held proof comes without an idle lane; another node adopts it later", () => {
  const scheduler = new TestScheduler(["a"]);
  scheduler.announce("a", 2, {
    phase: { kind: "proving", attempt: null, proof: null },
    adoptable: held,
  });
  expect(scheduler.submit("first", work, { deadlineAtMs: 100 })).toMatchObject({
    kind: "accepted",
  });
  scheduler.hear("a", { kind: "ended", attempt: 1, result: proved });
  expect(scheduler.outcomes("first")).toMatchObject([{ status: OutcomeStatus.PROVED }]);
  scheduler.submit("second", work);
  expect(scheduler.sentOf("adopt").map(({ attempt }) => attempt)).toEqual([1, 2]);
});

test("what waits when a lane is heard of is adopted there, before an idle lane is used", () => {
  const scheduler = new TestScheduler(["a", "b"]);
  scheduler.announceIdle("a", 1);
  scheduler.submit("first", elsewhere);
  scheduler.submit("second", work);
  scheduler.announceIdle("b", 1, { adoptable: held });
  expect(scheduler.assignments).toHaveLength(1);
  expect(scheduler.sentOf("adopt")).toMatchObject([{ lane: "b" }]);
});

test("an adopted attempt is lost when it is no longer listed, and its groups wait again", () => {
  const scheduler = takenLane();
  scheduler.submit("node", work);
  scheduler.announceIdle("a", 2);
  expect(scheduler.assignments).toMatchObject([{ attempt: 2, assignment: { isRetry: false } }]);
  scheduler.hear("a", { kind: "ended", attempt: 1, result: proved });
  expect(scheduler.outcomes("node")).toEqual([]);
});

test("an adopted attempt is lost with its lane, and counts as no death", () => {
  const scheduler = takenLane();
  scheduler.submit("node", work);
  scheduler.add("b");
  scheduler.announceIdle("b", 1);
  scheduler.schedules.gone("a", "h1 is silent");
  expect(scheduler.assignments).toMatchObject([{ lane: "b", assignment: { isRetry: false } }]);
});

test("an attempt whose result got lost goes on with the proof that is held, deadline or not", () => {
  const scheduler = new TestScheduler(["a"]);
  scheduler.announceIdle("a", 1);
  scheduler.submit("node", work, { deadlineAtMs: 100 });
  scheduler.announce("a", 1, provedBy(1));
  scheduler.clock.standStill(2000);
  scheduler.announceIdle("a", 2, { adoptable: held });
  expect(scheduler.assignments).toHaveLength(1);
  expect(scheduler.sentOf("adopt")).toMatchObject([{ attempt: 1 }]);
  scheduler.hear("a", { kind: "ended", attempt: 1, result: proved });
  expect(scheduler.outcomes("node")).toMatchObject([{ status: OutcomeStatus.PROVED_LATE }]);
});

test("an attempt of this door is not adopted by it", () => {
  const scheduler = new TestScheduler(["a"]);
  scheduler.announceIdle("a", 1);
  scheduler.submit("may", work);
  scheduler.announce("a", 1, provedBy(1));
  scheduler.submit("may-too", work);
  expect(scheduler.sentOf("adopt")).toEqual([]);
});

test("a proof that leaves out inputs does not suit a group that forbids that", () => {
  const scheduler = new TestScheduler(["a"]);
  const part = { startedAtMs: 0, shape: { raws: 1, children: 0 } };
  const phase = { kind: "proving", attempt: null, proof: part } as const;
  scheduler.announce("a", 1, { phase, adoptable: running });
  scheduler.submit("whole", work, { mayShed: false });
  expect(scheduler.sent).toEqual([]);
  // Of a held proof only the result tells; it is asked for once.
  scheduler.announce("a", 2, {
    phase: { kind: "starting", isCalibrating: false },
    adoptable: held,
  });
  scheduler.hear("a", { kind: "ended", attempt: 1, result: shed });
  scheduler.announceIdle("a", 3, { adoptable: held });
  expect(scheduler.sentOf("adopt")).toHaveLength(1);
  expect(scheduler.assignments).toMatchObject([{ attempt: 2 }]);
});

test.each<[string, ProofResult]>([
  ["not_started", { kind: "not_started", reason: "deadline", leftOut: [] }],
  ["prover_error", { kind: "failed", reason: "prover_error", detail: "", deaths: 0 }],
])("an adopted attempt that ends as %s ends no group", (_, result) => {
  const scheduler = takenLane();
  scheduler.submit("node", work);
  scheduler.hear("a", { kind: "ended", attempt: 1, result });
  scheduler.announceIdle("a", 2);
  expect(scheduler.assignments).toMatchObject([{ attempt: 2, assignment: { isRetry: false } }]);
});

test("the death of an adopted attempt's prover counts: the input is tried once more", () => {
  const scheduler = takenLane();
  scheduler.submit("node", work);
  const result = { kind: "failed", reason: "prover_died", detail: "x", deaths: 1 } as const;
  scheduler.hear("a", { kind: "ended", attempt: 1, result });
  scheduler.announceIdle("a", 2);
  expect(scheduler.assignments).toMatchObject([{ attempt: 2, assignment: { isRetry: true } }]);
});

test("a kill of an adopted attempt names it, and is repeated while it is shown", () => {
  const scheduler = takenLane();
  scheduler.submit("node", work);
  const [session] = scheduler.admission.listSessions();
  scheduler.admission.endSession(session?.id ?? "");
  expect(scheduler.sentOf("kill")).toMatchObject([{ attempt: 1, reason: "cancelled" }]);
  scheduler.announce("a", 1, provedBy(1));
  scheduler.announce("a", 1, provedBy(null));
  expect(scheduler.sentOf("kill")).toMatchObject([{ attempt: 1 }, { attempt: 1 }]);
  expect(scheduler.outcomes("node")).toMatchObject([{ reason: OutcomeReason.CANCELLED }]);
});

test("adopted backlog is not preempted", async () => {
  const scheduler = takenLane();
  scheduler.submit("backlog", work, { priority: 3 });
  scheduler.announce("a", 1, { ...provedBy(1), isStandbyReady: true });
  scheduler.submit("urgent", elsewhere, { priority: 1 });
  await scheduler.clock.runUntil(3900, () => undefined);
  expect(scheduler.sentOf("kill")).toEqual([]);
});

test("an adopted attempt charges nothing at first, and at the end the time since then", async () => {
  const scheduler = takenLane();
  await scheduler.clock.runUntil(1000, () => undefined);
  scheduler.submit("node", work);
  expect(scheduler.usedMs("node")).toBe(0);
  await scheduler.clock.runUntil(1500, () => undefined);
  scheduler.hear("a", { kind: "ended", attempt: 1, result: proved });
  expect(scheduler.usedMs("node")).toBe(500);
});

test("an attempt whose lane another door has taken waits again, without a death", async () => {
  const scheduler = new TestScheduler(["a"]);
  scheduler.announceIdle("a", 1);
  scheduler.submit("node", work);
  scheduler.announce("a", 1, { phase: { kind: "proving", attempt: null, proof: whole } });
  expect(scheduler.dispatcher.isUp).toBe(true);
  expect(scheduler.dispatcher.isIdle).toBe(false);
  expect(scheduler.dispatcher.outlook()[0]?.freeAtMs(0)).toBeGreaterThan(0);
  scheduler.announceIdle("a", 2);
  expect(scheduler.assignments).toMatchObject([
    { lease: 1, assignment: { isRetry: false } },
    { lease: 2, assignment: { isRetry: false } },
  ]);
  const taken = "lean_aggregator_server_fleet_taken_total";
  expect(await metricValue(scheduler.metrics.registry, taken)).toBe(1);
});

test("a lane that has failed is down, even with an attempt", () => {
  const scheduler = new TestScheduler(["a"]);
  scheduler.announceIdle("a", 1);
  scheduler.submit("node", work);
  const phase = { kind: "failed", cause: "the engine is down", retryAtMs: 0 } as const;
  scheduler.announce("a", 1, { phase });
  expect(scheduler.dispatcher.isUp).toBe(false);
  expect(scheduler.submit("other", work)).toMatchObject({ reason: "no_prover" });
  scheduler.hear("a", { kind: "ended", attempt: 1, result: proved });
  expect(scheduler.outcomes("node")).toMatchObject([{ status: OutcomeStatus.PROVED }]);
});

test("a lane that lists work and never answers does not keep it from an idle one", async () => {
  const scheduler = new TestScheduler(["a", "b"]);
  const silent: Partial<LaneReport> = {
    phase: { kind: "proving", attempt: null, proof: null },
    adoptable: held,
  };
  scheduler.announce("a", 1, silent);
  scheduler.announceIdle("b", 1);
  scheduler.submit("node", work, { deadlineAtMs: 20_000, fenceAtMs: 30_000 });
  expect(scheduler.assignments).toEqual([]);
  for (let atMs = 500; atMs < FENCE_MS; atMs += 500) {
    await scheduler.clock.runUntil(atMs, () => undefined);
    scheduler.announce("a", 1, silent);
  }
  expect(scheduler.assignments).toMatchObject([{ lane: "b" }]);
});

test.each([
  { slots: limits.proofsBeforeBacklog - 1, begun: [] },
  { slots: limits.proofsBeforeBacklog, begun: ["body"] },
])("a body has its turn after the adopted votes of $slots slots", async ({ slots, begun }) => {
  const scheduler = new TestScheduler(["a", "b"]);
  const taken = { kind: "proving", attempt: null, proof: null } as const;
  for (const lane of ["a", "b"]) scheduler.announce(lane, 1, { phase: taken });
  const long = { deadlineAtMs: 90_000, fenceAtMs: 100_000 };
  scheduler.submit("proposer", groupOfMerge("body", { raws: 0, proofs: 1 }), long);
  for (let slot = 0; slot < slots; slot++) {
    const nowMs = slot * 4000;
    await scheduler.clock.runUntil(nowMs, () => undefined);
    const digest = `votes ${slot}`;
    const [fenceAtMs, deadlineAtMs] = [nowMs + 3000, nowMs + 1000];
    const adoptable = [{ digest, fenceAtMs, isRunning: true }];
    scheduler.announce("a", 1, { phase: taken, adoptable });
    scheduler.submit("voter", groupOfRaws(digest, 1), { deadlineAtMs, fenceAtMs });
    const attempt = scheduler.sentOf("adopt").at(-1)?.attempt ?? 0;
    scheduler.hear("a", { kind: "ended", attempt, result: provedResult });
    scheduler.announce("a", 1, { phase: taken });
  }
  expect(scheduler.sentOf("adopt")).toHaveLength(slots);
  // The next votes are expected in half a second.
  await scheduler.clock.runUntil(slots * 4000 - 500, () => undefined);
  scheduler.announceIdle("b", 1, costs(500, 1000));
  expect(scheduler.assignments.map(({ assignment }) => assignment.digest)).toEqual(begun);
});
