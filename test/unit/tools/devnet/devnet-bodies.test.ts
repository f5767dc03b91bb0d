/** What the devnet's report says of blocks with one proof of their body. */
import { expect, test } from "vitest";
import { judge } from "../../../../tools/devnet/report/aims.js";
import { markdown } from "../../../../tools/devnet/report/markdown.js";
import { summarize } from "../../../../tools/devnet/report/summary.js";
import { plannedRuns } from "../../../../tools/devnet/run/plan.js";
import type { RunHeader, RunRecord } from "../../../../tools/devnet/run/run-file.js";
import { readScenario } from "../../../../tools/devnet/run/scenario.js";

const SCENARIO = "tools/devnet/scenarios/blocks.json";
const SLOT_MS = 12_000;

const header: RunHeader = {
  kind: "run",
  mode: "sidecar",
  slots: 4,
  slotMs: SLOT_MS,
  intervals: 5,
  seed: 1,
  ownValidators: [[0], [1], [2], [3]],
  lookaheadSlots: 0,
  validators: 4,
  nodes: 4,
  folder: "out",
  aggregators: [0],
  scenario: readScenario(SCENARIO),
  machine: "a machine",
  date: "2026-01-01",
  revision: "a1b2",
};

function proposed(slot: number, attestations: number, wanted: number, lateMs = 1): RunRecord {
  const chosenAtMs = slot * SLOT_MS + lateMs;
  const at = { atMs: chosenAtMs + 200, chosenAtMs };
  return { node: slot % 4, kind: "proposed", slot, attestations, wanted, ...at };
}

function merged(
  components: number,
  ms: number,
  more: Partial<Extract<RunRecord, { kind: "merged" }>> = {},
): RunRecord {
  const of = { slot: 3, form: "body", components, status: "proved", detail: "" } as const;
  return { node: 3, kind: "merged", ...of, ms, proveMs: ms - 100, ...more };
}

/** A node's slot with one tick of this length. */
function slotOf(node: number, slot: number, durationMs: number): RunRecord {
  const chain = { headSlot: slot, justifiedSlot: 0, finalizedSlot: 0, skips: {} };
  const ticks = [{ interval: 0, durationMs, lateMs: 0 }];
  return { node, kind: "slot", slot, ...chain, ticks, sessions: { count: 0, seconds: 0 } };
}

const records: RunRecord[] = [
  proposed(1, 0, 0),
  proposed(2, 2, 2),
  proposed(3, 1, 2),
  proposed(4, 2, 2, 900),
  merged(1, 1500),
  merged(2, 3000),
  merged(2, 3400),
  merged(3, 4000, { form: "block" }),
  merged(1, 0, { status: "cancelled" }),
  slotOf(2, 1, 7), // proposes next
  slotOf(2, 2, 9), // proposes
  slotOf(2, 3, 5000), // does neither
];

test("a body is full with all that it could have had, chosen at its slot's start", () => {
  const { bodies } = summarize(header, records);
  expect(bodies?.proposals).toEqual({ due: 3, full: 1, part: 2, empty: 0 });
  expect(bodies?.chosenLateMs.max).toBe(900);
  expect(bodies?.tickMs).toMatchObject({ count: 2, max: 9 });
  expect(bodies?.ended).toEqual({ proved: 4, cancelled: 1, refused: 0, failed: 0 });
});

test("merge times are listed by form and number of messages", () => {
  const summary = summarize(header, records);
  const times = summary.bodies?.merges.map(({ form, components, ms, proveMs }) => {
    return [form, components, ms.count, ms.p50, ms.max, proveMs.p50];
  });
  expect(times).toEqual([
    ["body", 1, 1, 1500, 1500, 1400],
    ["body", 2, 2, 3000, 3400, 2900],
    ["block", 3, 1, 4000, 4000, 3900],
  ]);
  const text = markdown([{ name: "blocks-5", summaries: [summary], aims: [] }], "make it");
  expect(text).toContain("| body, 2 | 2: 3.00 / 3.40, 2.90 |");
  expect(text).toContain("| full body proof at the slot's start | 1, 33.3 % |");
});

test("bodies are judged where there are any, and their goal is no rule", () => {
  const aims = judge([summarize(header, records)]).filter(({ text }) => text.includes("body"));
  expect(aims).toMatchObject([{ isMet: false, found: "1 of 3", isRule: false }]);
  const plain = { ...header, scenario: { ...header.scenario, componentsMax: 0 } };
  const summary = summarize(plain, records);
  expect(summary.bodies).toBeNull();
  expect(judge([summary]).some(({ text }) => text.includes("body"))).toBe(false);
  const parts = [{ name: "calm-5", summaries: [summary], aims: [] }];
  expect(markdown(parts, "make it")).not.toContain("one proof of their body");
});

test("the adapter in Go merges no bodies", () => {
  const planned = () => plannedRuns({ SCENARIO, MODES: "go:3" });
  expect(planned).toThrow("MODES has go, which merges no bodies: SCENARIO is blocks");
});
