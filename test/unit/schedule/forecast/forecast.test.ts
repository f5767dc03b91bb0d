/** When a group could start behind others, and when backlog is preempted for it. */
import { describe, expect, test } from "vitest";
import { OPTIMISTIC_AT } from "../../../../server/work/costs/cost-model.js";
import type { LaneOutlook } from "../../../../server/schedule/forecast/forecast.js";
import { futures, startAfter } from "../../../../server/schedule/forecast/forecast.js";
import { preemption, TAKEOVER_MS } from "../../../../server/schedule/preemption.js";

const NOW = 1000;

describe("the start behind others", () => {
  const ahead = (costMs: number, latestStartAtMs = Infinity, messages = 0) => {
    return { costMs, latestStartAtMs, messages };
  };
  /** Lanes that merge so many messages. */
  const lanes = (freeAtMs: readonly number[], messagesMax = 0) =>
    freeAtMs.map((each) => ({ freeAtMs: each, messagesMax }));

  test("is now with a free lane, else when the first lane is free", () => {
    expect(startAfter(NOW, lanes([900, 5000]), [])).toBe(NOW);
    expect(startAfter(NOW, lanes([3000, 5000]), [])).toBe(3000);
  });

  test("is after the groups before it, each on the lane that is free first", () => {
    expect(startAfter(NOW, lanes([0, 2000]), [ahead(500), ahead(700)])).toBe(2000);
    expect(startAfter(NOW, lanes([0]), [ahead(500), ahead(700)])).toBe(2200);
  });

  test("is not behind groups that cannot start in time themselves", () => {
    expect(startAfter(NOW, lanes([0]), [ahead(500), ahead(700, 1500), ahead(9)])).toBe(1509);
  });

  test("stops counting at the deadline", () => {
    function* endless() {
      for (;;) yield ahead(500);
    }
    expect(startAfter(NOW, lanes([0]), endless(), { enoughAtMs: 2600 })).toBe(3000);
  });

  test("is infinity without a lane", () => {
    expect(startAfter(NOW, [], [])).toBe(Infinity);
  });

  test("of a merge is on a lane that merges so many messages, and infinity without one", () => {
    const both = [...lanes([0]), ...lanes([4000], 2), ...lanes([6000], 16)];
    expect(startAfter(NOW, both, [], { messages: 2 })).toBe(4000);
    expect(startAfter(NOW, both, [], { messages: 3 })).toBe(6000);
    expect(startAfter(NOW, both, [], { messages: 17 })).toBe(Infinity);
  });

  test("is behind merges only on lanes that take them, and behind folds on any", () => {
    const both = [...lanes([0]), ...lanes([0], 16)];
    expect(startAfter(NOW, both, [ahead(500, Infinity, 2), ahead(500, Infinity, 2)])).toBe(NOW);
    const folds = [ahead(500), ahead(600), ahead(700)];
    expect(startAfter(NOW, both, folds, { messages: 2 })).toBe(1600);
    expect(startAfter(NOW, lanes([0]), [ahead(500, Infinity, 2)])).toBe(NOW);
  });
});

describe("the scenarios of the forecast", () => {
  const firstTen = futures.map((future) => Array.from({ length: 10 }, (_, nth) => future(nth)));
  const isAlike = (values: readonly number[]) => new Set(values).size === 1;

  test("go from short to long proofs when all deviate alike", () => {
    const alike = firstTen.filter(isAlike).map(([at]) => at ?? NaN);
    expect(alike).toEqual([...alike].sort((a, b) => a - b));
    expect([alike[0], alike.at(-1)]).toEqual([OPTIMISTIC_AT, 2]);
  });

  test("make each proof short in one and long in another when they are mixed", () => {
    const mixed = firstTen.filter((values) => !isAlike(values));
    for (let nth = 0; nth < 10; nth++) {
      const values = mixed.map((each) => each[nth] ?? NaN).sort((a, b) => a - b);
      expect(values[0]).toBeLessThan(-1);
      expect(values.at(-1)).toBeGreaterThan(1);
      expect(values.reduce((sum, each) => sum + each, 0) / values.length).toBeCloseTo(0, 6);
    }
  });
});

describe("backlog is preempted", () => {
  const running = (attempt: number, freeAtMs: number, hasStandby = true): LaneOutlook => ({
    attempt,
    freeAtMs: () => freeAtMs,
    hasStandby,
    isTaken: false,
    adoptable: [],
    messagesMax: 0,
  });
  const taken = (freeAtMs: number) => ({
    ...running(0, freeAtMs),
    attempt: undefined,
    isTaken: true,
  });
  const isBacklog = (attempt: number) => attempt < 10;
  const at = (nowMs: number, startByMs: number, ...lanes: LaneOutlook[]) =>
    preemption(nowMs, { startByMs, worthAt: () => 1 }, lanes, isBacklog);

  test("at once when no lane can be free in time", () => {
    expect(at(NOW, 1750, running(1, 4000))).toEqual({ kind: "kill", attempt: 1 });
  });

  test("the proof with the most time left is killed", () => {
    const kill = { kind: "kill", attempt: 2 };
    expect(at(NOW, 1750, running(1, 4000), running(2, 5000), running(3, 4500))).toEqual(kill);
  });

  test("not yet while a lane may be free in time by itself, but in time for the takeover", () => {
    const decideAtMs = 1750 - TAKEOVER_MS;
    const lanes = [running(1, 1200), running(2, 5000)];
    expect(at(NOW, 1750, ...lanes)).toEqual({ kind: "look_again", atMs: decideAtMs });
    expect(at(decideAtMs, 1750, ...lanes)).toEqual({ kind: "kill", attempt: 2 });
  });

  test("at once when the group would lose a tenth of its worth until a lane is free", () => {
    const until = (endMs: number, loss: number) => ({
      startByMs: 9000,
      worthAt: (atMs: number) => (atMs < endMs ? 1 : 1 - loss),
    });
    const kill = { kind: "kill", attempt: 1 };
    const lookAgain = { kind: "look_again", atMs: 9000 - TAKEOVER_MS };
    const lanes = [running(1, 4000)];
    expect(preemption(NOW, until(4000, 0.2), lanes, isBacklog)).toEqual(kill);
    expect(preemption(NOW, until(4000, 0.05), lanes, isBacklog)).toEqual(lookAgain);
    expect(preemption(NOW, until(4001, 0.2), lanes, isBacklog)).toEqual(lookAgain);
    const lost = until(NOW + TAKEOVER_MS, 0.2);
    expect(preemption(NOW, lost, lanes, isBacklog), "it is lost in any case").toEqual(lookAgain);
  });

  test("not for worth that another lane keeps: it is free by then", () => {
    const urgent = { startByMs: 9000, worthAt: (atMs: number) => (atMs < 2000 ? 1 : 0) };
    const lookAgain = { kind: "look_again", atMs: 9000 - TAKEOVER_MS };
    expect(preemption(NOW, urgent, [running(1, 4000), taken(1999)], isBacklog)).toEqual(lookAgain);
  });

  test("not when the waiting group would be late anyway", () => {
    expect(at(1750, 1750, running(1, 4000))).toEqual({ kind: "none" });
  });

  test("not unless the running attempt is backlog and a standby can take over", () => {
    expect(at(NOW, 1750, running(11, 4000))).toEqual({ kind: "none" });
    expect(at(NOW, 1750, running(1, 4000, false))).toEqual({ kind: "none" });
  });

  test("one at a time: a lane that is about to be free is waited for", () => {
    const ending = { ...running(1, 900, false), attempt: undefined };
    expect(at(NOW, 1750, ending, running(1, 4000))).toEqual({ kind: "none" });
  });

  test("another door's proof is never killed; its lane may come free in time by itself", () => {
    expect(at(NOW, 1750, taken(4000))).toEqual({ kind: "none" });
    expect(at(NOW, 1750, taken(4000), running(1, 3000))).toEqual({ kind: "kill", attempt: 1 });
    const lookAgain = { kind: "look_again", atMs: 1750 - TAKEOVER_MS };
    expect(at(NOW, 1750, taken(1200), running(1, 3000))).toEqual(lookAgain);
  });
});
