/** What blocks with one proof of their body came to: how many had it in time, and its merges. Pure. */
import { proposerOf } from "../chain/state.js";
import type { RunHeader, RunRecord } from "../run/run-file.js";
import { isInside, windowsOf } from "../run/scenario.js";
import { quantiles, type Quantiles } from "./quantiles.js";

/** A body that is chosen this long after its slot's start, in milliseconds, was not there at the start. */
const START_MS = 250;

type Of<K extends RunRecord["kind"]> = Extract<RunRecord, { kind: K }>;
type Run = { header: RunHeader; records: readonly RunRecord[] };

/** Merges of one form with so many messages. Times are in milliseconds. */
export interface MergeTimes {
  form: "body" | "block";
  components: number;
  /** From the merge's start to its proof; for a block, from before the proposer's signature. */
  ms: Quantiles;
  proveMs: Quantiles;
}

export interface Bodies {
  /** Proposals outside the fault windows with something to attest, and what they had of it. */
  proposals: { due: number; full: number; part: number; empty: number };
  /** How long after their slot's start bodies were chosen, in milliseconds. */
  chosenLateMs: Quantiles;
  /** Of nodes that propose next or now, in milliseconds: all intervals, and results between them. */
  tickMs: Quantiles;
  merges: MergeTimes[];
  ended: Record<Of<"merged">["status"], number>;
}

/** Null where blocks have a proof for each attestation. */
export function summarizeBodies(runs: readonly Run[]): Bodies | null {
  if (!runs.some(({ header }) => header.scenario.componentsMax > 0)) return null;
  const merged = runs.flatMap(({ records }) => records.filter((of) => of.kind === "merged"));
  const chosen = runs.flatMap(chosenBodies);
  const outside = chosen.filter(({ wanted, isOutside }) => isOutside && wanted > 0);
  const isFull = ({ attestations, wanted, lateMs }: ChosenBody) =>
    attestations >= wanted && lateMs <= START_MS;
  const full = outside.filter(isFull).length;
  const empty = outside.filter(({ attestations }) => attestations === 0).length;
  const count = (status: Of<"merged">["status"]) =>
    merged.filter((of) => of.status === status).length;
  return {
    proposals: { due: outside.length, full, part: outside.length - full - empty, empty },
    chosenLateMs: quantiles(chosen.map(({ lateMs }) => lateMs)),
    tickMs: quantiles(runs.flatMap(proposersTicks)),
    merges: mergeTimes(merged),
    ended: {
      proved: count("proved"),
      cancelled: count("cancelled"),
      refused: count("refused"),
      failed: count("failed"),
    },
  };
}

interface ChosenBody {
  attestations: number;
  wanted: number;
  lateMs: number;
  isOutside: boolean;
}

function chosenBodies({ header, records }: Run): ChosenBody[] {
  const { slots, slotMs, scenario } = header;
  const windows = windowsOf(scenario);
  return records.flatMap((record) => {
    if (record.kind !== "proposed" || record.slot > slots) return [];
    const { slot, attestations, wanted = 0, chosenAtMs = 0 } = record;
    const isOutside = !isInside(windows, slot);
    return [{ attestations, wanted, lateMs: chosenAtMs - slot * slotMs, isOutside }];
  });
}

function proposersTicks({ header, records }: Run): number[] {
  const { ownValidators, validators } = header;
  const owns = (node: number, slot: number) =>
    ownValidators[node]?.includes(proposerOf(slot, validators)) === true;
  return records.flatMap((record) => {
    if (record.kind !== "slot") return [];
    const { node, slot, ticks } = record;
    if (!owns(node, slot) && !owns(node, slot + 1)) return [];
    return ticks.map(({ durationMs }) => durationMs);
  });
}

function mergeTimes(merged: readonly Of<"merged">[]): MergeTimes[] {
  const proved = merged.filter(({ status }) => status === "proved");
  return (["body", "block"] as const).flatMap((form) => {
    const ofForm = proved.filter((of) => of.form === form);
    const sizes = [...new Set(ofForm.map(({ components }) => components))].sort((a, b) => a - b);
    return sizes.map((components) => {
      const own = ofForm.filter((of) => of.components === components);
      const ms = quantiles(own.map((of) => of.ms));
      return { form, components, ms, proveMs: quantiles(own.map((of) => of.proveMs)) };
    });
  });
}
