/** Lanes come and go while the service runs; what a lane had goes elsewhere with it. */
import { describe, expect, test } from "vitest";
import {
  OutcomeReason,
  OutcomeStatus,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { description, groupOfRaws, mergeOfRaws, TestScheduler } from "../../helpers/scheduler.js";
import { metricValue } from "../../helpers/metric-value.js";

const work = groupOfRaws("work", 1);
const never = new AbortController().signal;
const rejected = { kind: "rejected", leftOut: [] } as const;

test("without any lane a snapshot is skipped as no_prover; with one it is proved", async () => {
  const scheduler = new TestScheduler([]);
  const { schedules } = scheduler;
  const skipped = { kind: "skipped", reason: "no_prover", detail: "no lane is there" };
  expect(scheduler.submit("node", work)).toMatchObject(skipped);
  expect(schedules.default).toBeUndefined();
  scheduler.add("a");
  expect(scheduler.submit("node", work)).toMatchObject({ detail: "device a is starting" });
  scheduler.announceIdle("a", 1);
  expect(scheduler.submit("node", work)).toMatchObject({ kind: "accepted" });
  expect(scheduler.assignments).toMatchObject([{ lane: "a", lease: 1 }]);

  const { dispatcher } = scheduler;
  schedules.gone("a", "h1 is silent");
  expect(scheduler.submit("other", work)).toMatchObject(skipped);
  expect(dispatcher.isUp).toBe(false);
  expect(dispatcher.isIdle).toBe(false);
  expect(dispatcher.outlook()).toEqual([]);
  expect(dispatcher.predictMs({ raws: 1, children: 0 })).toBeLessThan(2000);

  scheduler.add("a");
  scheduler.announceIdle("a", 1);
  await schedules.ready();
  // The group that waits for its second attempt.
  expect(scheduler.assignments.map(({ attempt }) => attempt)).toEqual([1, 2]);
});

test("a session that has left its attempt counts with all its memory until the attempt ends", () => {
  const scheduler = new TestScheduler(["a"]);
  scheduler.announceIdle("a", 1);
  scheduler.submit("node", work, { priority: 3 });
  const bulky = { priority: 2, bytes: 20_000_000, requestId: "bulky" };
  scheduler.submit("node", work, bulky);
  scheduler.admission.cancel("node", "bulky", []);
  expect(scheduler.memory.heldBytes).toBeGreaterThan(bulky.bytes);
  scheduler.hear("a", { kind: "ended", attempt: 1, result: rejected });
  expect(scheduler.memory.heldBytes).toBeLessThan(bulky.bytes);
});

describe("a lane whose prover merges less messages than a merge has", () => {
  const merge = mergeOfRaws("merge", 3);
  const merges = (messagesMax: number) => ({ description: { ...description, messagesMax } });

  test.each([0, 2])("leaves it to another, when it merges %d", (messagesMax) => {
    const scheduler = new TestScheduler(["a", "b"]);
    scheduler.announceIdle("a", 1, merges(messagesMax));
    scheduler.announceIdle("b", 1, merges(3));
    scheduler.submit("node", merge);
    expect(scheduler.assignments).toMatchObject([{ lane: "b", attempt: 1 }]);
  });

  test("gets a fold that waits behind it, of the same class", () => {
    const scheduler = new TestScheduler(["a", "b"]);
    scheduler.announceIdle("b", 1);
    scheduler.submit("other", groupOfRaws("first", 1));
    scheduler.announce("a", 1, { ...merges(0), phase: { kind: "idle" }, isDrained: true });
    scheduler.submit("node", merge);
    scheduler.submit("third", work);
    scheduler.announceIdle("a", 1, merges(0));
    expect(scheduler.assignments.map(({ lane, assignment: { digest } }) => [lane, digest])).toEqual(
      [
        ["b", "first"],
        ["a", "work"],
      ],
    );
  });

  test("is no reason to name an instant once the other has gone", () => {
    const scheduler = new TestScheduler(["a", "b"]);
    scheduler.announceIdle("a", 1, merges(0));
    scheduler.announceIdle("b", 1, merges(3));
    scheduler.schedules.gone("b", "h1 is silent");
    const answer = scheduler.submit("node", merge);
    expect(answer).toMatchObject({ kind: "skipped", reason: "predicted_miss" });
    expect(answer).not.toHaveProperty("predictedFinishMs");
  });

  test("does not get its retry either", () => {
    const scheduler = new TestScheduler(["a", "b"]);
    scheduler.announceIdle("a", 1, merges(0));
    scheduler.announceIdle("b", 1);
    scheduler.submit("node", merge);
    scheduler.schedules.gone("b", "h1 is silent");
    expect(scheduler.assignments).toHaveLength(1);
    scheduler.add("c");
    scheduler.announceIdle("c", 1);
    expect(scheduler.assignments).toMatchObject([{ lane: "b" }, { lane: "c" }]);
  });

  test("describes the service together with one that merges more", () => {
    const scheduler = new TestScheduler(["a", "b"]);
    scheduler.announceIdle("a", 1, merges(0));
    expect(scheduler.dispatcher.describe()).toMatchObject({ messagesMax: 0 });
    scheduler.announceIdle("b", 1, merges(3));
    scheduler.announceIdle("a", 2, merges(0));
    expect(scheduler.dispatcher.describe()).toEqual({ ...description, messagesMax: 3 });
  });
});

test("the attempt of a lane that has gone is tried once more elsewhere", () => {
  const scheduler = new TestScheduler(["a", "b"]);
  scheduler.announceIdle("a", 1);
  scheduler.submit("node", work);
  scheduler.announceIdle("b", 1);
  scheduler.schedules.gone("a", "host h1 is silent");
  expect(scheduler.assignments).toMatchObject([
    { lane: "a", attempt: 1, assignment: { isRetry: false } },
    { lane: "b", attempt: 2, assignment: { isRetry: true } },
  ]);
  scheduler.schedules.gone("b", "host h2 has vanished");
  expect(scheduler.outcomes("node")).toMatchObject([
    {
      status: OutcomeStatus.FAILED,
      reason: OutcomeReason.PROVER_DIED,
      detail: "host h2 has vanished; device b has gone with the attempt",
    },
  ]);
});

test("the attempt of a lane that has gone is not tried again when it no longer fits", async () => {
  const scheduler = new TestScheduler(["a", "b"]);
  scheduler.announceIdle("a", 1);
  scheduler.submit("node", work);
  await scheduler.clock.runUntil(6000, () => undefined);
  scheduler.announceIdle("b", 1);
  scheduler.schedules.gone("a", "h1 is silent");
  expect(scheduler.assignments).toHaveLength(1);
  expect(scheduler.outcomes("node")).toMatchObject([{ reason: OutcomeReason.PROVER_DIED }]);
});

test("what a lane says that has gone is ignored, and so is a second going", () => {
  const scheduler = new TestScheduler(["a", "b"]);
  scheduler.announceIdle("a", 1);
  scheduler.submit("node", work);
  scheduler.schedules.gone("a", "h1 is silent");
  scheduler.schedules.gone("a", "h1 is silent");
  scheduler.announceIdle("a", 2);
  scheduler.hear("a", { kind: "ended", attempt: 1, result: rejected });
  expect(scheduler.schedules.devices().map(({ deviceId }) => deviceId)).toEqual(["b"]);
  expect(scheduler.outcomes("node")).toEqual([]);
});

test("a lane of the same device that comes without a going takes the place of the first", () => {
  const scheduler = new TestScheduler(["a"]);
  scheduler.announceIdle("a", 5);
  scheduler.submit("node", work);
  scheduler.add("a");
  scheduler.announceIdle("a", 1);
  expect(scheduler.schedules.devices()).toHaveLength(1);
  expect(scheduler.assignments).toMatchObject([
    { attempt: 1, lease: 5 },
    { attempt: 2, lease: 1 },
  ]);
});

test("work that a lane out of reach proves is not waited for where another lane is idle", () => {
  const scheduler = new TestScheduler(["a", "b"]);
  scheduler.announceIdle("a", 1);
  scheduler.submit("node", work);
  scheduler.announceIdle("b", 1);
  const [first] = scheduler.assignments;
  const phase = { kind: "failed", cause: "out of reach", retryAtMs: 0 } as const;
  scheduler.announce(first?.lane ?? "", 1, { phase });
  const answer = scheduler.submit("other", work);
  expect(answer).toMatchObject({ kind: "accepted" });
  expect(
    Number.isFinite(answer.kind === "accepted" ? answer.accepted.predictedFinishMs : NaN),
  ).toBe(true);
  expect(scheduler.assignments.at(-1)).toMatchObject({ lane: "b", attempt: 2 });
});

test("what the operator waits for ends when the device has gone", async () => {
  const scheduler = new TestScheduler(["a"]);
  scheduler.announce("a", 1, { phase: { kind: "proving", attempt: null, proof: null } });
  const [device] = scheduler.schedules.devices();
  const ordered = device?.order({ kind: "drain", isDrained: true }, never);
  const quiet = device?.untilQuiet(never);
  scheduler.schedules.gone("a", "h1 is silent");
  expect(await ordered).toEqual({ kind: "gone", why: "h1 is silent" });
  expect(await quiet).toEqual({ kind: "gone", why: "h1 is silent" });
  expect(await device?.untilQuiet(never)).toMatchObject({ kind: "gone" });
});

test("a device that has gone leaves no series behind", async () => {
  const scheduler = new TestScheduler(["a"]);
  const { metrics, schedules } = scheduler;
  metrics.proverReady.set({ device: "a", role: "standby" }, 1);
  metrics.deviceDrained.set({ device: "a" }, 1);
  metrics.costModelRatio.observe({ device: "a" }, 1);
  metrics.deviceSeconds.inc({ device: "a", state: "idle" }, 1);
  schedules.gone("a", "h1 is silent");
  const names = ["prover_ready", "prover_resident_bytes", "device_drained", "cost_model_ratio"];
  for (const name of [...names, "device_seconds_total"]) {
    const full = `lean_aggregator_server_${name}`;
    expect(await metricValue(metrics.registry, full, { device: "a" }), name).toBeUndefined();
  }
});
