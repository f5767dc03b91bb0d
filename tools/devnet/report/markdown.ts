/** The report's text. Pure. */
import type { Aim } from "./aims.js";
import { longest, type InsideOutside, type Quantiles, type Summary } from "./summary.js";

const INTERVAL_NAMES = ["0, propose", "1, vote", "2, aggregate", "3, safe target", "4, accept"];

export function markdown(
  summaries: readonly Summary[],
  aims: readonly Aim[],
  command: string,
): string {
  const all = longest(summaries);
  if (all === undefined) throw new Error("there is no run to report");
  const { header } = all;
  const faults = header.scenario.faults.map((fault) => `- ${describeFault(fault)}`);
  return [
    "# Devnet report",
    `Made by \`${command}\` on ${header.date}: ${header.machine}. ${header.nodes} nodes, ${header.validators} validators, one aggregator, slots of ${header.slotMs / 1000} s, votes fixed ${header.lookaheadSlots} slots ahead. All processes of all nodes share the machine.`,
    "## Aims",
    table(
      ["aim", "met", "found"],
      aims.map(({ text, isMet, found }) => [text, isMet ? "yes" : "**no**", found]),
    ),
    "## Ticks of the aggregator, in milliseconds",
    "An early start counts as its slot's interval 2; `results` are proofs applied between two intervals.",
    tickTable(summaries),
    "![Aggregating tick by slot](tick.svg)",
    "## Finality lag, in slots",
    "From the finalized checkpoint to the current slot, at the node that is furthest.",
    table(
      ["mode", "outside mean", "p50", "p99", "max", "inside mean", "p50", "p99", "max"],
      summaries.map(({ header: { mode }, lagOutside, lagInside }) => [
        mode,
        ...lagCells(lagOutside),
        ...lagCells(lagInside),
      ]),
    ),
    "![Finality lag by slot](finality.svg)",
    "## Slots, sessions, votes",
    "Inside and outside: of the fault windows, which are shaded in the plots.",
    countTable(summaries),
    "## Skips by reason",
    skipTable(summaries),
    ...(faults.length > 0 ? ["## Faults", faults.join("\n")] : []),
    ...restartLines(summaries),
  ]
    .join("\n\n")
    .concat("\n");
}

function describeFault(fault: Summary["header"]["scenario"]["faults"][number]): string {
  const nodes = "nodes" in fault ? ` node ${fault.nodes.join(" and ")}` : "";
  const until = "untilSlot" in fault ? ` until ${fault.untilSlot}` : "";
  return `slot ${fault.slot}${until}: ${fault.kind}${nodes}`;
}

function tickTable(summaries: readonly Summary[]): string {
  const rows = summaries.flatMap(({ header: { mode }, ticks }) =>
    [...ticks].map(([interval, { count, p50, p99, max }]) => [
      mode,
      interval === "results" ? "results" : (INTERVAL_NAMES[interval] ?? String(interval)),
      String(count),
      ...[p50, p99, max].map((value) => value.toFixed(1)),
    ]),
  );
  return table(["mode", "interval", "ticks", "p50", "p99", "max"], rows);
}

const lagCells = ({ mean, p50, p99, max }: Quantiles) => [
  mean.toFixed(1),
  ...[p50, p99, max].map(String),
];
const split = ({ inside, outside }: InsideOutside) => `${outside} / ${inside}`;

function countTable(summaries: readonly Summary[]): string {
  const row = (name: string, cell: (summary: Summary) => string) => [name, ...summaries.map(cell)];
  return table(
    ["", ...summaries.map(({ header }) => header.mode)],
    [
      row("slots", ({ header }) => String(header.slots)),
      row("missed slots, outside / inside", ({ missed }) => split(missed)),
      row("sessions", ({ sessions }) => String(sessions)),
      row("session, mean seconds", (summary) => summary.sessionMeanSeconds.toFixed(2)),
      row("proofs applied", ({ applied }) => String(applied)),
      row("made after the deadline and used", ({ late }) => String(late)),
      row("applied in the slot after", ({ nextSlot }) => String(nextSlot)),
      row("applied two slots late or later", ({ stale }) => String(stale)),
      row("votes cast", ({ votes }) => String(votes)),
      row("in no proof, outside / inside", ({ unrepresented }) => split(unrepresented)),
      row("proofs made", ({ prover }) => String(prover.proofs)),
      row("prover busy, seconds", ({ prover }) => prover.busySeconds.toFixed(0)),
      row("prover busy, share of the run", (summary) => busyShare(summary)),
    ],
  );
}

function busyShare({ header: { slots, slotMs }, prover: { busySeconds } }: Summary): string {
  return `${((busySeconds / ((slots * slotMs) / 1000)) * 100).toFixed(0)} %`;
}

function skipTable(summaries: readonly Summary[]): string {
  const reasons = [...new Set(summaries.flatMap(({ skips }) => [...skips.keys()]))].sort();
  if (reasons.length === 0) return "None in any mode.";
  return table(
    ["reason, outside / inside", ...summaries.map(({ header }) => header.mode)],
    reasons.map((reason) => [
      reason,
      ...summaries.map(({ skips }) => split(skips.get(reason) ?? { inside: 0, outside: 0 })),
    ]),
  );
}

function restartLines(summaries: readonly Summary[]): string[] {
  const lines = summaries.flatMap(({ header: { mode }, restarts }) =>
    restarts.map(
      ({ what, tookMs }) =>
        `- ${mode}: ${what} was back ${(tookMs / 1000).toFixed(1)} s after its kill`,
    ),
  );
  return lines.length > 0 ? ["## Restarts", lines.join("\n")] : [];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
