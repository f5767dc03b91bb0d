/** The devnet's report: scenario files, what a run comes to, and what is judged of it. */
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import type { Mode } from "../../../../tools/devnet/node/aggregators/aggregator.js";
import { judge } from "../../../../tools/devnet/report/aims.js";
import { markdown } from "../../../../tools/devnet/report/markdown.js";
import { plot } from "../../../../tools/harness/plot.js";
import { replays, type LagPoint } from "../../../../tools/devnet/report/counterfactual.js";
import { quantiles } from "../../../../tools/devnet/report/quantiles.js";
import { summarize, summarizeRuns, type Run } from "../../../../tools/devnet/report/summary.js";
import { partsOf } from "../../../../tools/devnet/report/write-report.js";
import type { TickRecord } from "../../../../tools/devnet/node/records.js";
import type { Intervals } from "../../../../tools/devnet/node/slot-time.js";
import { plannedRuns } from "../../../../tools/devnet/run/plan.js";
import { runName, type RunHeader, type RunRecord } from "../../../../tools/devnet/run/run-file.js";
import { fitTo, isInside, readScenario, windowsOf } from "../../../../tools/devnet/run/scenario.js";
import { applied, header, proposed, received, run, slotRecord, voted } from "./devnet-records.js";

const scenarios = "tools/devnet/scenarios";

test("every scenario is well formed, and its faults leave time to recover between them", () => {
  for (const name of readdirSync(scenarios)) {
    const windows = windowsOf(readScenario(`${scenarios}/${name}`));
    windows.forEach(({ from, to }, at) => {
      expect(to, name).toBeGreaterThanOrEqual(from);
      const next = windows[at + 1];
      if (next !== undefined) expect(next.from, name).toBeGreaterThan(to);
    });
  }
});

test("a short run leaves out the faults that it has no time for", () => {
  const scenario = readScenario(`${scenarios}/full.json`);
  expect(fitTo(scenario, 1000).faults).toEqual(scenario.faults);
  expect(fitTo(scenario, 50).faults.map(({ kind }) => kind)).toEqual(["freeze", "drop"]);
  expect(fitTo(scenario, 5).faults).toEqual([]);
  const [first] = windowsOf(scenario);
  expect(first && isInside([first], first.to) && !isInside([first], first.to + 1)).toBe(true);
});

test("quantiles are by nearest rank", () => {
  expect(quantiles([])).toEqual({ count: 0, mean: 0, p50: 0, p99: 0, max: 0 });
  const values = Array.from({ length: 200 }, (_, at) => at + 1);
  expect(quantiles(values)).toEqual({ count: 200, mean: 100.5, p50: 100, p99: 198, max: 200 });
});

test("misses, skips and unrepresented votes are separated by the fault windows", () => {
  const summary = run("remote", 3);
  expect(summary.missed).toEqual({ inside: 1, outside: 1 }); // 2, and 5
  // Counters 1, 2, 3, then a restart: 1, 1, 2. Slots 2, 3 and 4 are inside.
  expect(summary.skips).toEqual(new Map([["in_flight", { inside: 3, outside: 2 }]]));
  expect(summary.unrepresented).toEqual({ inside: 2, outside: 1 });
  expect([summary.applied, summary.late, summary.nextSlot, summary.stale]).toEqual([2, 1, 1, 0]);
  expect(summary.sessionMeanSeconds).toBe(2);
  expect(summary.prover).toEqual({ busySeconds: 3, proofs: 4 });
  expect(summary.lag.map(({ value }) => value)).toEqual([1, 2, 3, 3, 3, 3]);
});

test("lateness is that of each interval's tick, and a slot has one time of the aggregating one", () => {
  const ticks: TickRecord[] = [
    { interval: 2, durationMs: 40, lateMs: null }, // early
    { interval: 2, durationMs: 1, lateMs: 30, isExtra: true },
    { interval: 3, durationMs: 1, lateMs: 10 },
    { interval: "results", durationMs: 5, lateMs: null },
    { interval: "results", durationMs: 5, lateMs: 0 }, // of an older recording
  ];
  const record = { ...slotRecord(1, 1, {}), ticks } as RunRecord;
  const summary = summarize(header("remote"), [record]);
  expect(summary.tickLateMs).toMatchObject({ count: 2, p50: 10, max: 30 });
  expect(summary.ticks.get(2)).toMatchObject({ count: 1, max: 40 });
  expect(summary.aggregatingMs).toEqual([{ slot: 1, value: 40 }]);
});

test("votes are published when most other nodes have stored a proof, and counted by interval", () => {
  const summary = run("remote", 3, [
    received(1, [0], 4000 + 2399), // before interval 3
    received(1, [1], 4000 + 2400),
    received(5, [0], 20_000 + 3200), // after interval 4 has started
    received(5, [1], 20_000 + 8000), // at the fence
    { kind: "fates", votes: { proved: 3, shed: 0, stopped: 2 } },
  ]);
  expect(summary.fates).toEqual(new Map(Object.entries({ proved: 3, stopped: 2 })));
  const part = { name: "test-5", summaries: [summary], aims: [] };
  expect(markdown([part], "make devnet")).toContain("| proved | 3 |\n| stopped | 2 |");
  expect(summary.votes).toEqual({ inside: 2, outside: 4 }); // slot 2, and slots 1 and 5
  expect(summary.published).toEqual({
    safeTarget: { inside: 0, outside: 1 },
    accept: { inside: 0, outside: 2 },
    fence: { inside: 0, outside: 3 },
  });
  expect(summary.withoutAggregate).toEqual({ inside: 1, outside: 0 });
});

test("the aggregator's own duties are those of its validators", () => {
  const summary = run("inline", 900, [proposed(1, 2600), proposed(5, 0), proposed(6, 0)]);
  // Slots 1, 4 and 5 are its validators' in turn; two of them cast three votes each.
  expect(summary.proposals).toEqual({ due: 3, made: 2 });
  expect(summary.proposalLateMs).toMatchObject({ p50: 0, max: 2600 });
  expect(summary.ownVotes).toEqual({ due: 12, cast: 6, inTime: 6 });
});

test("finality lags by the least when votes are in time, and by more for each cause", () => {
  const slots = 40;
  const all = [0, 1, 2, 3];
  const of = (publishedMs: number, castMs = 800) => {
    const lag = { ...header("sidecar"), slots, lookaheadSlots: 0 };
    const records = Array.from({ length: slots }, (_, at): RunRecord[] => {
      const slot = at + 1;
      const votes = all.map((validator) => {
        return { ...voted(slot, validator), atMs: slot * 4000 + castMs };
      });
      return [...votes, received(slot, all, slot * 4000 + publishedMs), proposed(slot)];
    });
    return replays(lag, records.flat());
  };
  const last = (points: readonly LagPoint[]) => points.at(-1)?.value ?? 0;
  const inTime = of(2300);
  expect(last(inTime.least)).toBe(3);
  expect([last(inTime.cast), last(inTime.published)]).toEqual([3, 3]);
  const late = of(4100);
  expect(last(late.cast)).toBe(3);
  expect(last(late.published)).toBeGreaterThan(3);
  expect(last(of(4100, 4050).cast)).toBeGreaterThan(3);
});

test("votes that a partition kept from the aggregator are no proofs that were late", () => {
  const faults = [{ kind: "drop" as const, nodes: [1], slot: 20, untilSlot: 30 }];
  const calm = { ...header("sidecar"), slots: 40, lookaheadSlots: 0 };
  const cut = { ...calm, scenario: { ...calm.scenario, faults } };
  const records = Array.from({ length: 40 }, (_, at): RunRecord[] => [
    ...[0, 1, 2, 3].map((validator) => voted(at + 1, validator)),
    proposed(at + 1),
  ]).flat();
  const lagAt = (of: RunHeader) =>
    [18, 28, 38].map((slot) => replays(of, records).cast.find((at) => at.slot === slot)?.value);
  expect(lagAt(calm)).toEqual([3, 3, 3]);
  const [before, within, after] = lagAt(cut);
  expect([before, after]).toEqual([3, 3]);
  expect(within).toBeGreaterThan(8);
});

test("runs that differ in their seed only are taken together", () => {
  const records = [voted(1, 0), applied(1, 1, [0])];
  const of = (seed: number, intervals: Intervals, mode: Mode = "worker") => {
    return { header: { ...header(mode), seed, intervals }, records };
  };
  const parts = partsOf([of(2, 5), of(1, 5), of(1, 4), of(1, 5, "sidecar")]);
  expect(parts.map(({ name }) => name)).toEqual(["test-5", "test-4"]);
  const longer = { ...of(3, 5), header: { ...header("worker"), slotMs: 6000 } };
  expect(() => partsOf([of(1, 5), longer])).toThrow("other validators, slots' length or lookahead");
  const [first] = parts;
  expect(first?.summaries.map(({ header: { mode }, headers }) => [mode, headers.length])).toEqual([
    ["worker", 2],
    ["sidecar", 1],
  ]);
  expect(first?.summaries[0]).toMatchObject({ slots: 12, applied: 2, header: { seed: 1 } });
});

test("each of several runs must keep a rule, and without votes none are known to be in proofs", () => {
  const of = (seed: number, records: RunRecord[]): Run => {
    return { header: { ...header("sidecar"), seed }, records };
  };
  const good = of(1, [voted(1, 0), applied(1, 1, [0])]);
  const found = (...runs: Run[]) => {
    const aims = judge([summarizeRuns(runs)]);
    return aims.filter(({ text }) => /applied$|in no proof/.test(text)).map(({ isMet }) => isMet);
  };
  expect(found(good)).toEqual([true, true]);
  expect(found(good, of(2, []))).toEqual([false, true]);
  expect(found(of(2, []))).toEqual([false, false]);
});

test("a seed shifts the faults, and each run has a file of its own", () => {
  const env = {
    ...{ SEED: "1,3", INTERVALS: "5,4", MODES: "worker,sidecar:50", SLOTS: "90", OUT: "o" },
    SCENARIO: `${scenarios}/full.json`,
  };
  const runs = plannedRuns(env);
  expect(runs.map(runName)).toEqual([
    ...["full-worker-5-1", "full-sidecar-5-1", "full-worker-4-1", "full-sidecar-4-1"],
    ...["full-worker-5-3", "full-sidecar-5-3", "full-worker-4-3", "full-sidecar-4-3"],
  ]);
  expect(runs.map(({ scenario }) => scenario.faults[0])).toMatchObject([
    ...Array.from({ length: 4 }, () => ({ slot: 20, untilSlot: 26 })),
    ...Array.from({ length: 4 }, () => ({ slot: 22, untilSlot: 28 })),
  ]);
  expect(() => plannedRuns({ ...env, INTERVALS: "6" })).toThrow("INTERVALS has 6");
  expect(() => plannedRuns({ ...env, SEED: "0" })).toThrow("SEED has 0");
  expect(() => plannedRuns({ ...env, MODES: "go" })).toThrow("go, which takes INTERVALS=5");
});

test("a broken rule differs from an aim that is not met", () => {
  const isMet = (aims: ReturnType<typeof judge>, text: string) =>
    aims.find((aim) => aim.text.includes(text))?.isMet;
  const good = judge([run("inline", 900), run("remote", 3)]);
  expect(good.filter((aim) => aim.isRule && !aim.isMet)).toEqual([]);
  expect(isMet(good, "missed slots")).toBe(false);
  expect(isMet(good, "lag outside fault windows no worse than inline")).toBe(true);
  expect(isMet(good, "lower than inline")).toBe(false); // the same
  const stale = judge([run("remote", 3, [applied(2, 4, [0])])]);
  expect(isMet(stale, "two slots late")).toBe(false);
  const crashed = judge([
    run("remote", 3, [{ kind: "failure", text: "node 0 ended with code 1" }]),
  ]);
  expect(crashed.filter((aim) => aim.isRule && !aim.isMet)).toMatchObject([
    { text: "remote: every process ends well", found: "node 0 ended with code 1" },
  ]);
  expect(isMet(judge([run("remote", 150)]), "aggregating interval")).toBe(false);
  expect(isMet(judge([run("sidecar", 99)]), "aggregating interval")).toBe(true);
});

test("lags over other numbers of slots are said not to be comparable", () => {
  const inline = run("inline", 900);
  const found = judge([{ ...inline, slots: 12 }, run("remote", 3)]).filter(({ text }) =>
    text.includes("finality lag"),
  );
  expect(found).toEqual([
    {
      text: "remote: finality lag against inline",
      isMet: false,
      found: "not comparable: 6 slots against 12",
      isRule: false,
    },
  ]);
});

test("outside, lags are compared within one step of the slots that may be justified", () => {
  const lag = (p99: number, mean = 3) => ({ count: 10, mean, p50: 3, p99, max: p99 });
  const base = lag(12);
  const isMet = (where: "lagInside" | "lagOutside", own: typeof base, its: typeof base) =>
    judge([
      { ...run("inline", 900), [where]: its },
      { ...run("remote", 3), [where]: own },
    ]).find(({ text }) => text.includes(where === "lagInside" ? "lower than" : "no worse than"))
      ?.isMet;
  const outside = (own: number, its: number) => isMet("lagOutside", lag(own), lag(its));
  expect([outside(4, 3), outside(5, 3)]).toEqual([true, false]);
  expect([outside(16, 12), outside(17, 12)]).toEqual([true, false]);
  expect([outside(16, 13), outside(17, 13)]).toEqual([true, false]);
  const inside = (own: number) => isMet("lagInside", lag(12, own), base);
  expect([inside(2.9), inside(3), inside(3.1)]).toEqual([true, false, false]);
});

test("each peak of the lag is listed with the fault that ended last before it", () => {
  const lags = [9, 10, 9, 3, 10, 11, 11, 10, 9, 3, 3, 12];
  const records = lags.map((lag, at): RunRecord => {
    const slot = 20 + at;
    return { ...slotRecord(slot, 1, {}), finalizedSlot: slot - lag } as RunRecord;
  });
  const { scenario } = header("worker");
  const faults = [
    { kind: "drop" as const, nodes: [1], slot: 10, untilSlot: 18 },
    { kind: "freeze" as const, nodes: [1], slot: 24, untilSlot: 28 },
  ];
  const of = { ...header("worker"), slots: 40, seed: 2, scenario: { ...scenario, faults } };
  const text = markdown([{ name: "t", summaries: [summarize(of, records)], aims: [] }], "make");
  const [, table = ""] = text.split("with the fault that ended last before each:\n\n");
  expect(table.split("\n\n")[0]?.split("\n").slice(2)).toEqual([
    "| worker | 2 | 21 | 10 | outside | slot 10 until 18: drop node 1 | 3 |",
    "| worker | 2 | 26 | 11 | inside | slot 10 until 18: drop node 1 | 8 |",
    "| worker | 2 | 31 | 12 | outside | slot 24 until 28: freeze node 1 | 3 |",
  ]);
  expect(markdown([{ name: "t", summaries: [run("remote", 3)], aims: [] }], "make")).not.toContain(
    "Peaks",
  );
});

test("sessions that were skipped are counted by priority and window", () => {
  const skipped = (slot: number, priority: "aggregation" | "backlog"): RunRecord => {
    return { node: 0, kind: "skipped", slot, priority, reason: "in_flight" };
  };
  const records = [skipped(3, "aggregation"), skipped(5, "backlog"), skipped(6, "backlog")];
  const summary = run("remote", 3, records);
  expect(summary.skipped).toEqual({
    aggregation: { inside: 1, outside: 0 },
    backlog: { inside: 0, outside: 2 },
  });
  const text = markdown([{ name: "t", summaries: [summary], aims: [] }], "make");
  expect(text).toContain("| aggregations skipped, outside / inside | 0 / 1 |");
});

test("sessions are those that were taken, and one a slot where a recording does not say", () => {
  const slot = { node: 0, kind: "submitted", slot: 4, isEarly: true } as const;
  const records: RunRecord[] = [
    { ...slot, groups: [] },
    { ...slot, groups: [], sessions: 2 },
  ];
  expect(run("remote", 3, records).sessions).toBe(3);
});

test("without faults no aim is about their windows", () => {
  const calm = { ...header("remote"), scenario: { ...header("remote").scenario, faults: [] } };
  const windowed = (of: RunHeader) =>
    judge([summarize(of, [])]).filter(({ text }) => text.includes("inside fault windows"));
  expect(windowed(header("remote")).map(({ text }) => text)).toContain(
    "remote: in_flight skips mostly inside fault windows",
  );
  expect(windowed(calm).map(({ text }) => text)).not.toContain(
    "remote: in_flight skips mostly inside fault windows",
  );
});

test("the report names what is not met, and its plots shade the fault windows", () => {
  const summaries = [run("inline", 900), run("remote", 3)];
  const part = { name: "test-5", summaries, aims: judge(summaries) };
  const text = markdown([part], "make devnet");
  expect(text).toContain("| remote: missed slots only inside fault windows | **no** |");
  expect(text).toContain("| inline | 2, aggregate | 6 | 900.0 | 900.0 | 900.0 |");
  expect(text).toContain("slot 2 until 3: freeze node 1");
  const series = summaries.map(({ header: { mode }, aggregatingMs }) => ({
    name: mode,
    points: aggregatingMs.map(({ slot, value }) => ({ x: slot, value })),
  }));
  const form = { isLogarithmic: true, isLine: false };
  const options = { title: "t", unit: "ms", xName: "slot", ...form };
  const svg = plot(series, { ...options, windows: summaries[0]?.windows ?? [] });
  expect(svg.match(/<circle/g)).toHaveLength(12);
  expect(svg.match(/fill="#eee"/g)).toHaveLength(1);
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
});

test("votes whose fence is behind the run's end are not counted, nor is their slot", () => {
  const summary = run("remote", 3);
  const { votes, published, unrepresented, withoutAggregate } = summary;
  const last = run("remote", 3, [voted(6, 0), voted(6, 1), received(6, [0], 24_000 + 2000)]);
  expect(last).toMatchObject({ votes, published, unrepresented, withoutAggregate });
  const counted = run("remote", 3, [voted(5, 2)]);
  expect(counted.votes.outside).toBe(votes.outside + 1);
  expect(counted.unrepresented.outside).toBe(unrepresented.outside + 1);
});

test("each run's revision is shown where they differ", () => {
  const of = (seed: number, revision: string) => {
    return { header: { ...header("worker"), seed, revision }, records: [voted(1, 0)] };
  };
  const text = (...revisions: string[]) =>
    markdown(partsOf(revisions.map((revision, at) => of(at + 1, revision))), "make devnet-all");
  expect(text("a1", "b2", "a1")).toContain(
    "several revisions of the code:\n\n- `a1`: test-worker-5-1, test-worker-5-3\n- `b2`: test-worker-5-2",
  );
  expect(text("a1", "a1")).not.toContain("revision");
});
