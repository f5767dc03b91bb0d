/** The upgrade of the default proof system: its switch, its shadow proofs, and its automatic return. */
import { describe, expect, test } from "vitest";
import { Refusal } from "../../../server/errors.js";
import type { LaneReport } from "../../../server/lane/lane-messages.js";
import { shadowResults } from "../../../server/reasons.js";
import type { DecodedGroup, FoldWork, ProofResult } from "../../../server/work/group.js";
import { inputDigest } from "../../../server/work/input-digest.js";
import { decodedGroup } from "../../../tools/harness/decoded-group.js";
import { description, groupOfRaws, mergeOfRaws, TestScheduler } from "../../helpers/scheduler.js";
import { metricValue } from "../../helpers/metric-value.js";

const r1 = { description: { ...description, scheme: "xmss", revision: "r1" } };
const r2 = { description: { ...description, scheme: "xmss", revision: "r2" } };
const other = { description: { ...description, scheme: "other", revision: "r2" } };
const withStandby = { ...r2, isStandbyReady: true };
const failed = { phase: { kind: "failed", cause: "no GPU", retryAtMs: 1e6 } } as const;

const upgrade = (shadow = 0) => ({ upgrade: { revision: "r2", slot: 10n, shadow } });
const work = (digest: string, raws = 1) => groupOfRaws(digest, raws);

/** A scheduler with an upgrade to r2, and an idle lane for each report, named a, b and so on. */
function upgrading(shadow: number, ...each: Partial<LaneReport>[]): TestScheduler {
  const names = each.map((_, at) => String.fromCharCode(97 + at));
  const scheduler = new TestScheduler(names, { ...upgrade(shadow), deciders: ["a"] });
  names.forEach((name, at) => scheduler.announceIdle(name, 1, each[at]));
  return scheduler;
}

const proved: ProofResult = {
  kind: "proved",
  ...{ proof: new Uint8Array(1), validators: [0], childrenFolded: [], leftOut: [], proveMs: 5 },
};
const died: ProofResult = { kind: "failed", reason: "prover_died", detail: "signal", deaths: 1 };
const wrong: ProofResult = {
  kind: "failed",
  ...{ reason: "prover_error", detail: "it does not verify", deaths: 0, isInvalidProof: true },
};

let leases = 1;
/** The lane ends its newest attempt so, and is idle again. */
function end(scheduler: TestScheduler, lane: string, result: ProofResult, of = r2): void {
  const attempt = scheduler.assignments.findLast((each) => each.lane === lane)?.attempt ?? 0;
  scheduler.hear(lane, { kind: "ended", attempt, result });
  scheduler.announceIdle(lane, ++leases, of);
}

const laneOfLast = (scheduler: TestScheduler) => scheduler.assignments.at(-1)?.lane;

const stateOf = async ({ metrics: { registry } }: TestScheduler) => {
  const states = ["waiting", "switched", "returned"];
  const name = "lean_aggregator_server_upgrade";
  const values = await Promise.all(states.map((state) => metricValue(registry, name, { state })));
  return states.filter((_, at) => values[at] === 1).join();
};

describe("a snapshot that names no revision", () => {
  const submit = (scheduler: TestScheduler, slot: bigint, scheme = "") => {
    scheduler.submit(`n${slot}${scheme}`, work(`w${slot}${scheme}`), {
      slot,
      asked: { scheme, revision: "" },
    });
    return laneOfLast(scheduler);
  };

  test("gets the next revision from the slot on, not before", async () => {
    const scheduler = upgrading(0, r1, r2, r1, r2);
    expect(await stateOf(scheduler)).toBe("waiting");
    expect(submit(scheduler, 9n)).toBe("a");
    expect(submit(scheduler, 10n)).toBe("b");
    expect(submit(scheduler, 8n, "xmss")).toBe("c");
    expect(submit(scheduler, 11n, "xmss")).toBe("d");
    expect(await stateOf(scheduler)).toBe("switched");
    expect(scheduler.logged).toEqual(["the next revision is the default now"]);
    expect(scheduler.schedules.upgradeView).toEqual({
      ...{ scheme: "xmss", revision: "r2", slot: 10n, state: "switched", why: "" },
    });
  });

  test("gets the old one while no prover of the next is up, and the log says so once", async () => {
    const scheduler = upgrading(0, r1, r1, r1);
    scheduler.add("z");
    expect(submit(scheduler, 10n)).toBe("a");
    scheduler.announce("z", 1, { ...r2, ...failed });
    expect(submit(scheduler, 11n)).toBe("b");
    expect(scheduler.logged).toEqual([
      "no prover of the next revision is up; the old one stays the default",
    ]);
    expect(await stateOf(scheduler)).toBe("waiting");
    scheduler.announceIdle("z", 2, r2);
    expect(submit(scheduler, 12n)).toBe("z");
  });

  test("of another scheme keeps its own, though that has a revision of the same name", () => {
    const scheduler = upgrading(0, r1, other, r2);
    expect(submit(scheduler, 10n, "other")).toBe("b");
  });

  test("keeps the default where that is the next revision already", async () => {
    const scheduler = upgrading(0, r2);
    expect(submit(scheduler, 10n)).toBe("a");
    expect(scheduler.logged).toEqual([]);
    expect(await stateOf(scheduler)).toBe("waiting");
  });
});

test("a snapshot that names a revision gets that, before the slot and after", () => {
  const scheduler = upgrading(0, r1, r2);
  const asked = (revision: string) => ({ asked: { scheme: "xmss", revision } });
  scheduler.submit("n1", work("w1"), { slot: 10n, ...asked("r1") });
  expect(laneOfLast(scheduler)).toBe("a");
  scheduler.submit("n2", work("w2"), { slot: 9n, ...asked("r2") });
  expect(laneOfLast(scheduler)).toBe("b");
  expect(() => scheduler.submit("n3", work("w3"), asked("r3"))).toThrow(Refusal);
});

test("the service is ready by the next revision alone, once snapshots have got it", () => {
  const scheduler = upgrading(0, r1, r2);
  scheduler.submit("n", work("w"), { slot: 10n });
  scheduler.announce("a", 2, { ...r1, ...failed });
  expect(scheduler.schedules.isUp).toBe(true);
  expect(scheduler.schedules.whyDown()).toBe("xmss r1 is down: device a is failed: no GPU");
});

describe("shadow proofs", () => {
  const counts = async ({ metrics: { registry } }: TestScheduler) => {
    const name = "lean_aggregator_server_shadow_proofs_total";
    const found: Record<string, number> = {};
    for (const result of shadowResults) {
      const value = (await metricValue(registry, name, { result })) ?? 0;
      if (value > 0) found[result] = value;
    }
    return found;
  };
  /** The default proves a group of this digest on lane a. */
  const proveOnOld = (scheduler: TestScheduler, digest = "w", group = work(digest)) => {
    scheduler.submit("n", group, { slot: 9n });
    end(scheduler, "a", proved, r1);
  };

  test("what the default has proved is proved again, verified, counted and thrown away", async () => {
    const scheduler = upgrading(1, r1, withStandby);
    const heldBytes = scheduler.memory.heldBytes;
    proveOnOld(scheduler);
    expect(scheduler.assignments.at(-1)).toMatchObject({
      lane: "b",
      assignment: { mayShed: false, isExploration: true },
    });
    const shadow = scheduler.assignments.at(-1)?.assignment;
    const { work, digest } = shadow ?? {};
    // A lane host compares it with the digest that it computes for its own proof system.
    expect(digest).toBe(
      work?.kind === "fold" ? inputDigest(work, withStandby.description) : "no fold",
    );
    const usedMs = scheduler.usedMs("n");
    await scheduler.clock.runUntil(1000, () => undefined);
    end(scheduler, "b", proved, withStandby);
    expect(await counts(scheduler)).toEqual({ verified: 1 });
    expect(scheduler.outcomes("n")).toHaveLength(1);
    expect(scheduler.usedMs("n")).toBeLessThanOrEqual(usedMs);
    await scheduler.clock.runUntil(200_000, () => undefined);
    scheduler.admission.expire();
    expect(scheduler.memory.heldBytes).toBe(heldBytes);
    expect(scheduler.clock.pending).toBe(0);
  });

  test.each([
    ["invalid", wrong],
    ["failed", died],
    ["differs", { kind: "rejected", leftOut: [] } as const],
    ["not_started", { kind: "not_started", reason: "memory", leftOut: [] } as const],
  ])("one that ends %s is counted so, and changes nothing else", async (kind, result) => {
    const scheduler = upgrading(1, r1, withStandby);
    proveOnOld(scheduler);
    end(scheduler, "b", result, withStandby);
    expect(await counts(scheduler)).toEqual({ [kind]: 1 });
    expect(await stateOf(scheduler)).toBe("waiting");
  });

  test("one in a hundred is drawn with the default share, spread evenly", async () => {
    const scheduler = upgrading(0.01, r1, withStandby);
    for (let at = 0; at < 400; at++) {
      proveOnOld(scheduler, `w${at}`);
      if (laneOfLast(scheduler) === "b") end(scheduler, "b", proved, withStandby);
      await scheduler.clock.runUntil(10_000 * (at + 1), () => undefined);
    }
    expect(await counts(scheduler)).toEqual({ verified: 4 });
  });

  test("a lane without a standby makes none: a group would wait for it", async () => {
    const scheduler = upgrading(1, r1, r2);
    proveOnOld(scheduler);
    expect(laneOfLast(scheduler)).toBe("a");
    await scheduler.clock.runUntil(20_000, () => undefined);
    expect(await counts(scheduler)).toEqual({ not_started: 1 });
  });

  test("one waits for an idle lane, and starts when there is one", async () => {
    const scheduler = upgrading(1, r1, withStandby);
    const asked = { scheme: "xmss", revision: "r2" };
    scheduler.submit("m", work("m"), { asked });
    proveOnOld(scheduler);
    expect(scheduler.assignments.map(({ lane }) => lane)).toEqual(["b", "a"]);
    end(scheduler, "b", proved, withStandby);
    expect(scheduler.assignments.map(({ lane }) => lane)).toEqual(["b", "a", "b"]);
    end(scheduler, "b", proved, withStandby);
    expect(await counts(scheduler)).toEqual({ verified: 1 });
  });

  test("another one beside it is not started, so that one is held at most", async () => {
    const scheduler = upgrading(1, r1, withStandby);
    proveOnOld(scheduler, "w1");
    proveOnOld(scheduler, "w2");
    expect(await counts(scheduler)).toEqual({ not_started: 1 });
    end(scheduler, "b", proved, withStandby);
    expect(await counts(scheduler)).toEqual({ not_started: 1, verified: 1 });
  });

  test("a group of any class that comes is accepted, and ends one at once", async () => {
    const scheduler = upgrading(1, r1, withStandby);
    proveOnOld(scheduler);
    const shadow = scheduler.assignments.at(-1);
    const asked = { scheme: "xmss", revision: "r2" };
    const backlog = scheduler.submit("m", work("m"), { asked, priority: 3 });
    expect(backlog).toMatchObject({ kind: "accepted" });
    expect(scheduler.sentOf("kill")).toMatchObject([{ lane: "b", attempt: shadow?.attempt }]);
    expect(await counts(scheduler)).toEqual({ stopped: 1 });
    scheduler.announceIdle("b", ++leases, withStandby);
    expect(scheduler.assignments.at(-1)).toMatchObject({ lane: "b", assignment: { digest: "m" } });
    // Its result, if it comes too late, has no waiter.
    scheduler.hear("b", { kind: "ended", attempt: shadow?.attempt ?? 0, result: proved });
    expect(await counts(scheduler)).toEqual({ stopped: 1 });
  });

  test("one goes on beside a group that finds another idle lane", async () => {
    const scheduler = upgrading(1, r1, withStandby, withStandby);
    proveOnOld(scheduler);
    scheduler.submit("m", work("m"), { asked: { scheme: "xmss", revision: "r2" } });
    expect(scheduler.sentOf("kill")).toEqual([]);
    expect(scheduler.assignments.slice(1).map(({ lane }) => lane)).toEqual(["b", "c"]);
    expect(await counts(scheduler)).toEqual({});
  });

  test("one whose lane goes has failed, and one whose lane gets another revision has stopped", async () => {
    const scheduler = upgrading(1, r1, withStandby);
    proveOnOld(scheduler, "w1");
    scheduler.schedules.gone("b", "h1 is silent");
    expect(await counts(scheduler)).toEqual({ failed: 1 });
    scheduler.add("c");
    scheduler.announceIdle("c", 1, withStandby);
    proveOnOld(scheduler, "w2");
    expect(laneOfLast(scheduler)).toBe("c");
    scheduler.announceIdle("c", 2, r1);
    expect(await counts(scheduler)).toEqual({ failed: 1, stopped: 1 });
  });

  test("a proof that never ends is stopped", async () => {
    const scheduler = upgrading(1, r1, withStandby);
    proveOnOld(scheduler);
    await scheduler.clock.runUntil(130_000, () => undefined);
    expect(await counts(scheduler)).toEqual({ stopped: 1 });
    expect(scheduler.sentOf("kill")).toMatchObject([{ lane: "b", reason: "preempted" }]);
  });

  test("nothing is drawn of merges, of what has children, of what was left out of, or from the slot on", async () => {
    const scheduler = upgrading(1, r1, withStandby);
    const submitAndProve = (group: DecodedGroup, result: ProofResult = proved) => {
      scheduler.submit("n", group, { slot: 9n });
      end(scheduler, "a", result, r1);
    };
    submitAndProve(mergeOfRaws("m", 2));
    const fold = work("c").work as FoldWork;
    const child = { index: 0, validators: [9], keys: new Uint8Array(1), proof: new Uint8Array(1) };
    submitAndProve({ ...decodedGroup({ ...fold, children: [child] }), digest: "c" });
    const shed = { kind: "raw", validatorIndex: 1 } as const;
    const cut = { reason: "shed", input: shed, digest: new Uint8Array(32) } as const;
    submitAndProve(work("s", 2), { ...proved, leftOut: [cut] });
    submitAndProve(work("d"), wrong);
    const late = { ...fold, message: { ...fold.message, slot: 10 } };
    submitAndProve({ ...decodedGroup(late), digest: "l" });
    expect(scheduler.assignments.map(({ lane }) => lane)).not.toContain("b");
    expect(await counts(scheduler)).toEqual({});
  });

  test("keys or signatures of another size are counted, and not proved", async () => {
    const wider = { description: { ...r2.description, signatureBytes: 2 }, isStandbyReady: true };
    const scheduler = upgrading(1, r1, wider);
    proveOnOld(scheduler);
    expect(laneOfLast(scheduler)).toBe("a");
    expect(await counts(scheduler)).toEqual({ differs: 1 });
  });

  test("what ends when the service closes leaves no timer", async () => {
    const scheduler = upgrading(1, r1, withStandby);
    proveOnOld(scheduler);
    scheduler.schedules.close();
    expect(await counts(scheduler)).toEqual({ stopped: 1 });
  });
});

describe("the automatic return", () => {
  /** Submits for a slot after the upgrade; the lane of the next revision ends it so. */
  const proveOnNext = (scheduler: TestScheduler, digest: string, result: ProofResult) => {
    scheduler.submit(digest, work(digest), { slot: 10n });
    const lane = laneOfLast(scheduler);
    if (lane === "b") end(scheduler, "b", result);
    return lane;
  };
  const TEXT = "the old revision is the default again, until this process ends";

  test("a proof that does not verify makes the old revision the default again", async () => {
    const scheduler = upgrading(0, r1, r2);
    expect(proveOnNext(scheduler, "w1", wrong)).toBe("b");
    expect(await stateOf(scheduler)).toBe("returned");
    expect(scheduler.logged.at(-1)).toBe(TEXT);
    expect(scheduler.schedules.upgradeView).toMatchObject({
      ...{ state: "returned", why: "a proof does not verify: it does not verify" },
    });
    expect(scheduler.outcomes("w1")).toMatchObject([{ detail: "it does not verify" }]);
    expect(proveOnNext(scheduler, "w2", proved)).toBe("a");
    expect(scheduler.schedules.isUp).toBe(true);
  });

  test("three deaths without a proof between do, two and a proof do not", async () => {
    const scheduler = upgrading(0, r1, r2);
    const dieOver = (digest: string) => {
      // The first death of an input is retried at once: the second ends it.
      scheduler.submit(digest, work(digest), { slot: 10n });
      end(scheduler, "b", died);
      end(scheduler, "b", died);
    };
    dieOver("w1");
    expect(await stateOf(scheduler)).toBe("switched");
    expect(proveOnNext(scheduler, "w2", proved)).toBe("b");
    dieOver("w3");
    expect(await stateOf(scheduler)).toBe("switched");
    expect(proveOnNext(scheduler, "w4", died)).toBe("b");
    expect(await stateOf(scheduler)).toBe("returned");
    expect(scheduler.schedules.upgradeView?.why).toMatch(/^provers died 3 times without a proof/);
  });

  test("sessions that were accepted keep the next revision, and their retry", () => {
    const scheduler = upgrading(0, r1, r2, r2);
    scheduler.submit("n1", work("w1"), { slot: 10n });
    scheduler.submit("n2", work("w2"), { slot: 10n });
    scheduler.submit("n3", work("w3"), { slot: 10n });
    end(scheduler, "b", wrong);
    expect(scheduler.assignments.map(({ lane }) => lane)).toEqual(["b", "c", "b"]);
    end(scheduler, "c", proved);
    end(scheduler, "b", proved);
    const revisions = ["n1", "n2", "n3"].flatMap((node) =>
      scheduler.outcomes(node).map(({ proofSystem }) => proofSystem?.revision),
    );
    expect(revisions).toEqual(["r2", "r2", "r2"]);
  });

  test("faults before the switch, of the old revision and of named requests alike, do not", async () => {
    const scheduler = upgrading(0, r1, r2);
    const asked = { scheme: "xmss", revision: "r2" };
    scheduler.submit("n1", work("w1"), { slot: 9n, asked });
    end(scheduler, "b", wrong);
    scheduler.submit("n2", work("w2"), { slot: 9n });
    end(scheduler, "a", wrong, r1);
    expect(await stateOf(scheduler)).toBe("waiting");
    expect(proveOnNext(scheduler, "w3", proved)).toBe("b");
    scheduler.submit("n3", work("w4"), { slot: 9n });
    end(scheduler, "a", wrong, r1);
    expect(await stateOf(scheduler)).toBe("switched");
  });

  test("no shadow proof is made after it", async () => {
    const scheduler = upgrading(1, r1, withStandby);
    scheduler.submit("w1", work("w1"), { slot: 10n });
    end(scheduler, "b", wrong, withStandby);
    scheduler.submit("n", work("w2"), { slot: 9n });
    end(scheduler, "a", proved, r1);
    expect(laneOfLast(scheduler)).toBe("a");
  });
});
