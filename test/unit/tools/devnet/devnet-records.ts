/** Records of made-up runs, of two nodes whose first one aggregates. */
import type { Mode } from "../../../../tools/devnet/node/aggregators/aggregator.js";
import type { NodeRecord } from "../../../../tools/devnet/node/records.js";
import { summarize } from "../../../../tools/devnet/report/summary.js";
import type { RunHeader, RunRecord } from "../../../../tools/devnet/run/run-file.js";

export function header(mode: Mode): RunHeader {
  return {
    kind: "run",
    mode,
    slots: 6,
    slotMs: 4000,
    intervals: 5,
    seed: 1,
    ownValidators: [
      [0, 1],
      [2, 3],
    ],
    lookaheadSlots: 1,
    validators: 4,
    nodes: 2,
    folder: "out",
    aggregators: [0],
    scenario: {
      name: "test",
      about: "",
      foldsChildren: false,
      componentsMax: 0,
      blockProofEvery: 0,
      hasTwoViews: false,
      recoverySlots: 1,
      faults: [{ kind: "freeze", nodes: [1], slot: 2, untilSlot: 3 }],
    },
    machine: "a machine",
    date: "2026-01-01",
    revision: "a1b2",
  };
}

export function slotRecord(slot: number, tickMs: number, skips: Record<string, number>): RunRecord {
  const ticks = [{ interval: 2, durationMs: tickMs, lateMs: 0 }];
  const finalizedSlot = Math.max(0, slot - 3);
  const chain = { headSlot: slot, justifiedSlot: finalizedSlot, finalizedSlot };
  const sessions = { count: slot, seconds: 2 * slot };
  return { node: 0, kind: "slot", slot, ...chain, ticks, skips, sessions };
}

export function applied(submittedSlot: number, slot: number, validators: number[]): RunRecord {
  const record: NodeRecord = {
    kind: "applied",
    slot,
    submittedSlot,
    message: `m${submittedSlot}`,
    validators,
    isLate: slot > submittedSlot,
    atMs: slot * 4000 + 2000,
  };
  return { node: 0, ...record };
}

export const voted = (slot: number, validator: number): RunRecord => ({
  node: 1,
  kind: "voted",
  slot,
  validator,
  message: `m${slot}`,
  atMs: slot * 4000 + 800,
});
export const received = (slot: number, validators: number[], atMs: number): RunRecord => ({
  node: 1,
  kind: "received",
  slot,
  message: `m${slot}`,
  validators,
  atMs,
});
export const proposed = (slot: number, lateMs = 0): RunRecord => ({
  node: slot % 4 < 2 ? 0 : 1,
  kind: "proposed",
  slot,
  attestations: 0,
  atMs: slot * 4000 + lateMs,
});

/** Six slots in which the aggregating tick takes so long, and what else there is. */
export function run(mode: Mode, tickMs: number, extra: RunRecord[] = []) {
  const chain = [1, 3, 4, 6].map((slot) => ({ slot, proposer: slot % 4 }));
  return summarize(header(mode), [
    ...[1, 2, 3].map((slot) => slotRecord(slot, tickMs, { in_flight: slot })),
    ...[4, 5, 6].map((slot) => slotRecord(slot, tickMs, { in_flight: slot === 6 ? 2 : 1 })),
    ...[1, 2, 5].flatMap((slot) => [voted(slot, 0), voted(slot, 1)]),
    applied(1, 1, [0, 1]),
    applied(5, 6, [0]),
    { node: 0, kind: "end", chain: chain.slice(0, 2), finalizedSlot: 3 },
    { node: 1, kind: "end", chain, finalizedSlot: 3 },
    { kind: "prover", busySeconds: 1, proofs: 1 },
    { kind: "prover", busySeconds: 2, proofs: 3 },
    { kind: "shutdown", what: "node 0", tookMs: 12 },
    ...extra,
  ]);
}
