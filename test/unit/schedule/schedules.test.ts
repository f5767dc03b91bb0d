/** Several proof systems at once: each lane works for its own, and one is the default. */
import { describe, expect, test } from "vitest";
import { Refusal } from "../../../server/errors.js";
import { limits } from "../../../server/limits.js";
import type { LaneReport } from "../../../server/lane/lane-messages.js";
import { description, groupOfRaws, TestScheduler } from "../../helpers/scheduler.js";
import { metricValue } from "../../helpers/metric-value.js";

const never = new AbortController().signal;
const r1 = { description: { ...description, scheme: "xmss", revision: "r1" } };
const r2 = { description: { ...description, scheme: "xmss", revision: "r2" } };
const other = { description: { ...description, scheme: "other", revision: "o1" } };
const askFor = (scheme: string, revision = "") => ({ asked: { scheme, revision } });
const failed = { phase: { kind: "failed", cause: "no GPU", retryAtMs: 1e6 } } as const;
const starting = { phase: { kind: "starting", isCalibrating: false } } as const;
const rejected = { kind: "rejected", leftOut: [] } as const;

/** A scheduler with one idle lane for each description, in their order, named a, b and so on. */
function withLanes(...each: Partial<LaneReport>[]): TestScheduler {
  const names = each.map((_, at) => String.fromCharCode(97 + at));
  const scheduler = new TestScheduler(names);
  names.forEach((name, at) => scheduler.announceIdle(name, 1, each[at]));
  return scheduler;
}

const defaultOf = ({ schedules }: TestScheduler) => schedules.default?.name;
const work = (digest: string) => groupOfRaws(digest, 1);

test("a group is proved on a lane of the proof system that its request names", () => {
  const scheduler = withLanes(r1, r2, other);
  scheduler.submit("n1", work("w1"), askFor("other"));
  scheduler.submit("n2", work("w2"), askFor("xmss", "r2"));
  scheduler.submit("n3", work("w3"), askFor("xmss"));
  const assigned = scheduler.assignments.map(({ lane, assignment: { digest }, attempt }) => {
    return [attempt, lane, digest];
  });
  expect(assigned).toEqual([
    [1, "c", "w1"],
    [2, "b", "w2"],
    [3, "a", "w3"],
  ]);
});

test("work of one proof system waits for its own lane, beside an idle one of another", () => {
  const scheduler = withLanes(r1, r2);
  scheduler.submit("n1", work("w1"));
  expect(scheduler.submit("n2", work("w2"))).toMatchObject({ kind: "accepted" });
  expect(scheduler.assignments).toHaveLength(1);
  scheduler.hear("a", { kind: "ended", attempt: 1, result: rejected });
  scheduler.announceIdle("a", 2, r1);
  expect(scheduler.assignments.map(({ lane }) => lane)).toEqual(["a", "a"]);
});

test("an outcome names the proof system of its session", () => {
  const scheduler = withLanes(r1, r2);
  scheduler.submit("n", work("w"), askFor("xmss", "r2"));
  scheduler.hear("b", { kind: "ended", attempt: 1, result: rejected });
  const proofSystem = { scheme: "xmss", revision: "r2" };
  expect(scheduler.outcomes("n")).toMatchObject([{ proofSystem }]);
});

test("a node may have one session in flight for each proof system", () => {
  const scheduler = withLanes(r1, r2);
  const submit = (revision: string) => scheduler.submit("n", work("w"), askFor("xmss", revision));
  expect([submit("r1"), submit("r2")]).toMatchObject([{ kind: "accepted" }, { kind: "accepted" }]);
  expect(submit("r1")).toMatchObject({ reason: "in_flight" });
  expect(scheduler.assignments.map(({ lane }) => lane)).toEqual(["a", "b"]);
});

test("prover time of a principal counts over all proof systems", async () => {
  const scheduler = withLanes(r1, r2);
  scheduler.submit("n", work("w1"), askFor("xmss", "r1"));
  scheduler.submit("n", work("w2"), askFor("xmss", "r2"));
  await scheduler.clock.runUntil(1000, () => undefined);
  scheduler.hear("a", { kind: "ended", attempt: 1, result: rejected });
  scheduler.hear("b", { kind: "ended", attempt: 2, result: rejected });
  expect(scheduler.schedules.accounts.nodes.of("n", scheduler.clock.nowMs())).toBeGreaterThan(1500);
});

describe("a name that nobody offers", () => {
  const refusal = (scheduler: TestScheduler, asked: ReturnType<typeof askFor>) => {
    try {
      return scheduler.submit("n", work("w"), asked);
    } catch (error) {
      return error instanceof Refusal ? error.message : error;
    }
  };

  test("is refused with the names of the offers", () => {
    const scheduler = withLanes(r1, other);
    expect(refusal(scheduler, askFor("bls"))).toBe(
      'proof_system.scheme: is "bls", this server proves "other o1", "xmss r1"',
    );
    expect(refusal(scheduler, askFor("xmss", "r9"))).toBe(
      'proof_system.revision: is "r9", this server proves "other o1", "xmss r1"',
    );
  });

  test("is skipped while a device is set up that may have it", () => {
    const scheduler = withLanes(r1);
    scheduler.add("b");
    expect(refusal(scheduler, askFor("bls"))).toMatchObject({ reason: "no_prover" });
    scheduler.announce("b", 1, { ...failed, description: null });
    expect(refusal(scheduler, askFor("bls"))).toMatch(/^proof_system.scheme: is "bls"/);
  });
});

test("a proof system whose only lane has died skips what names it, beside a ready default", () => {
  const scheduler = withLanes(r1, r2);
  scheduler.announce("b", 2, { ...r2, ...failed });
  const { schedules } = scheduler;
  expect(scheduler.submit("n", work("w"), askFor("xmss", "r2"))).toMatchObject({
    reason: "no_prover",
    detail: "device b is failed: no GPU",
  });
  expect(schedules.isUp).toBe(true);
  expect(schedules.whyDown()).toBe("xmss r2 is down: device b is failed: no GPU");
  expect(scheduler.submit("n", work("w"))).toMatchObject({ kind: "accepted" });
});

describe("a lane that comes back with another revision", () => {
  test("moves to its schedule, and what it had is tried again on the others", () => {
    const scheduler = withLanes(r1, r1);
    scheduler.submit("n", work("w"));
    expect(scheduler.assignments).toMatchObject([{ lane: "a", attempt: 1 }]);
    scheduler.announceIdle("a", 2, r2);
    expect(scheduler.assignments).toMatchObject([
      { lane: "a", attempt: 1 },
      { lane: "b", attempt: 2, assignment: { isRetry: false } },
    ]);
    const { schedules } = scheduler;
    expect(schedules.devicesOf("xmss r1")).toEqual(["b"]);
    expect(schedules.devicesOf("xmss r2")).toEqual(["a"]);
    // The result of its former attempt belongs to no waiter.
    scheduler.hear("a", { kind: "ended", attempt: 1, result: rejected });
    expect(scheduler.outcomes("n")).toEqual([]);
    scheduler.submit("n2", work("w"), askFor("xmss", "r2"));
    expect(scheduler.assignments.at(-1)).toMatchObject({ lane: "a", attempt: 3, lease: 2 });
  });

  test("keeps its place among the devices, and the operator's later commands reach it", () => {
    const scheduler = withLanes(r1, r1);
    scheduler.announceIdle("a", 2, { ...r2, commandsDone: 4 });
    const { schedules } = scheduler;
    expect(schedules.devices().map(({ deviceId }) => deviceId)).toEqual(["a", "b"]);
    void schedules.devices()[0]?.order({ kind: "drain", isDrained: true }, never);
    expect(scheduler.sentOf("command")).toMatchObject([{ lane: "a", number: 5 }]);
  });

  test("is not moved back by an announcement that was overtaken", () => {
    const scheduler = withLanes(r1);
    const { report } = scheduler.schedules.devices()[0] ?? {};
    scheduler.announceIdle("a", 2, r2);
    if (report === undefined) throw new Error("no device");
    scheduler.hear("a", { kind: "announce", sequence: 1, ...report });
    expect(scheduler.schedules.devicesOf("xmss r2")).toEqual(["a"]);
  });

  test("shows in device_info", async () => {
    const scheduler = withLanes(r1);
    const { registry } = scheduler.metrics;
    const shown = (revision: string) =>
      metricValue(registry, "lean_aggregator_server_device_info", {
        device: "a",
        scheme: "xmss",
        revision,
      });
    expect([await shown("r1"), await shown("r2")]).toEqual([1, undefined]);
    scheduler.announceIdle("a", 2, r2);
    expect([await shown("r1"), await shown("r2")]).toEqual([undefined, 1]);
  });
});

describe("the default", () => {
  test("is that of the first configured device, though another is set up first", () => {
    const scheduler = new TestScheduler(["a", "b"], { deciders: ["a"] });
    scheduler.announceIdle("b", 1, r2);
    expect(defaultOf(scheduler)).toBeUndefined();
    expect(scheduler.schedules.isUp).toBe(false);
    expect(scheduler.submit("n", work("w"))).toMatchObject({
      reason: "no_prover",
      detail: "device a is starting",
    });
    expect(scheduler.submit("n", work("w"), askFor("xmss"))).toMatchObject({ kind: "accepted" });
    scheduler.announceIdle("a", 1, r1);
    expect(defaultOf(scheduler)).toBe("xmss r1");
  });

  test("is that of most lanes when the first device's setup fails, and stays it", () => {
    const scheduler = new TestScheduler(["a", "b", "c", "d"], { deciders: ["a"] });
    scheduler.announceIdle("b", 1, r2);
    scheduler.announceIdle("c", 1, other);
    scheduler.announceIdle("d", 1, other);
    expect(defaultOf(scheduler)).toBeUndefined();
    scheduler.announce("a", 1, { ...failed, description: null });
    expect(defaultOf(scheduler)).toBe("other o1");
    scheduler.announceIdle("a", 2, r1);
    expect(defaultOf(scheduler)).toBe("other o1");
  });

  test("is the first by name, of proof systems with as many lanes", () => {
    const scheduler = new TestScheduler(["a", "b"], { deciders: ["x"] });
    scheduler.add("x");
    scheduler.announceIdle("a", 1, r2);
    scheduler.announceIdle("b", 1, r1);
    scheduler.schedules.gone("x", "it is removed");
    expect(defaultOf(scheduler)).toBe("xmss r1");
  });

  test("without configured devices is that of most lanes that come within half a second", async () => {
    const scheduler = new TestScheduler(["a", "b", "c", "d", "e", "f"]);
    scheduler.announceIdle("a", 1, r1);
    // Provisional, so that no snapshot waits.
    expect(defaultOf(scheduler)).toBe("xmss r1");
    expect(scheduler.schedules.isUp).toBe(true);
    await scheduler.clock.runUntil(499, () => undefined);
    scheduler.announceIdle("b", 1, r2);
    scheduler.announceIdle("c", 1, r2);
    await scheduler.clock.runUntil(500, () => undefined);
    expect(defaultOf(scheduler)).toBe("xmss r2");
    for (const lane of ["d", "e", "f"]) scheduler.announceIdle(lane, 1, r1);
    await scheduler.clock.runUntil(60_000, () => undefined);
    expect(defaultOf(scheduler)).toBe("xmss r2");
  });

  test.each([
    ["r1 first", [r1, r2]],
    ["r2 first", [r2, r1]],
  ])("without configured devices is the same for every door: %s", async (_, order) => {
    const scheduler = withLanes(...order);
    expect(defaultOf(scheduler)).toBe("xmss r1");
    await scheduler.clock.runUntil(60_000, () => undefined);
    expect(defaultOf(scheduler)).toBe("xmss r1");
  });

  test("is the configured one, and nothing else", () => {
    const named = { scheme: "xmss", revision: "r2" };
    const scheduler = new TestScheduler(["a", "b"], { named, deciders: ["a"] });
    scheduler.announceIdle("a", 1, r1);
    expect(scheduler.schedules.whyDown()).toBe("device b is starting");
    scheduler.announce("b", 1, { ...failed, description: null });
    expect(defaultOf(scheduler)).toBeUndefined();
    scheduler.announceIdle("b", 2, other);
    expect(scheduler.schedules.whyDown()).toBe(
      'no device proves "xmss r2", the configured default',
    );
    scheduler.announceIdle("b", 3, r2);
    expect(defaultOf(scheduler)).toBe("xmss r2");
  });

  test("stays for 10 s when no lane has it any more", async () => {
    const scheduler = withLanes(r1, r2);
    await scheduler.clock.runUntil(500, () => undefined);
    scheduler.schedules.gone("a", "h1 is silent");
    await scheduler.clock.runUntil(10_499, () => undefined);
    expect(defaultOf(scheduler)).toBe("xmss r1");
    expect(scheduler.schedules.isUp).toBe(false);
    await scheduler.clock.runUntil(10_500, () => undefined);
    expect(defaultOf(scheduler)).toBe("xmss r2");
    expect(scheduler.schedules.isUp).toBe(true);
  });

  test("stays without any lane, for the time that one comes back", async () => {
    const scheduler = withLanes(r1);
    scheduler.schedules.gone("a", "h1 is silent");
    await scheduler.clock.runUntil(60_000, () => scheduler.admission.expire());
    expect(defaultOf(scheduler)).toBe("xmss r1");
  });
});

test("a proof system is forgotten once no lane and no session has it", async () => {
  const scheduler = withLanes(r1, r2);
  scheduler.submit("n", work("w"), askFor("xmss", "r2"));
  scheduler.schedules.gone("b", "h1 is silent");
  scheduler.admission.expire();
  const names = () => scheduler.schedules.all().map(({ name }) => name);
  expect(names()).toEqual(["xmss r1", "xmss r2"]);
  await scheduler.clock.runUntil(7000, () => undefined);
  scheduler.admission.expire();
  expect(names()).toEqual(["xmss r1"]);
});

test("provers of a known name with other sizes are not used, and the reason is said", () => {
  const odd = { description: { ...r1.description, signatureBytes: 2 } };
  const scheduler = withLanes(r1, odd);
  expect(scheduler.schedules.devicesOf("xmss r1")).toEqual(["a"]);
  scheduler.announce("a", 2, { ...r1, ...failed });
  expect(scheduler.schedules.whyDown()).toBe(
    "device a is failed: no GPU; device b is not used: " +
      "keys and signatures of xmss r1 have 1 and 2 bytes, fake there, 1 and 1 bytes, fake on other devices",
  );
});

test("sizes that nobody has any more keep no lane out", async () => {
  const odd = { description: { ...r1.description, signatureBytes: 2 } };
  const scheduler = withLanes(odd, r1);
  expect(scheduler.schedules.devicesOf("xmss r1")).toEqual(["a"]);
  scheduler.schedules.gone("a", "its host has gone");
  scheduler.admission.expire();
  scheduler.announceIdle("b", 2, r1);
  expect(scheduler.schedules.devicesOf("xmss r1")).toEqual(["b"]);
  scheduler.submit("n", work("w"));
  expect(scheduler.assignments).toMatchObject([{ lane: "b" }]);
});

test("proof systems over the limit are not used", () => {
  const count = limits.proofSystemsMax + 1;
  const names = Array.from({ length: count }, (_, at) => `l${at}`);
  const scheduler = new TestScheduler(names);
  const revision = (at: number) => ({ description: { ...description, revision: `r${at}` } });
  names.forEach((name, at) => scheduler.announceIdle(name, 1, revision(at)));
  expect(scheduler.schedules.all()).toHaveLength(limits.proofSystemsMax);
  expect(scheduler.schedules.devices()).toHaveLength(count);
});

test("the default is up again for those who wait, once its lane is idle", async () => {
  const scheduler = new TestScheduler(["a"]);
  scheduler.announce("a", 1, { ...r1, ...starting });
  const ready = scheduler.schedules.ready();
  scheduler.announceIdle("a", 1, r1);
  await ready;
  scheduler.schedules.close();
});
