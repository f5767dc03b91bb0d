/** The report's text: a part for each scenario and number of intervals. Pure. */
import { dutiesOf } from "../node/slot-time.js";
import { runName } from "../run/run-file.js";
import { endOf, type Fault } from "../run/scenario.js";
import type { Aim } from "./aims.js";
import type { Bodies } from "./bodies.js";
import { LAG_MAX } from "./peaks.js";
import type { Quantiles } from "./quantiles.js";
import type { InsideOutside } from "./splits.js";
import { longest, type Summary } from "./summary.js";

/** Runs of one scenario with one number of intervals: one summary for each mode. */
export interface Part {
  name: string;
  summaries: readonly Summary[];
  aims: readonly Aim[];
}

export function markdown(parts: readonly Part[], command: string): string {
  const all = longest(parts.flatMap(({ summaries }) => summaries));
  if (all === undefined) throw new Error("there is no run to report");
  const { header } = all;
  return [
    "# Devnet report",
    `Made by \`${command}\` on ${header.date}: ${header.machine}. ${header.nodes} nodes, ${header.validators} validators, one aggregator, slots of ${header.slotMs / 1000} s, votes fixed ${header.lookaheadSlots} slots ahead. All processes of all nodes share the machine.`,
    ...revisionText(parts),
    ...parts.flatMap(partText),
  ]
    .join("\n\n")
    .concat("\n");
}

/** A call that goes on with an earlier one may run other code. */
function revisionText(parts: readonly Part[]): string[] {
  const byRevision = new Map<string, string[]>();
  for (const header of parts.flatMap(({ summaries }) => summaries.flatMap((of) => of.headers)))
    byRevision.set(header.revision, [...(byRevision.get(header.revision) ?? []), runName(header)]);
  if (byRevision.size < 2) return [];
  const lines = [...byRevision].map(([revision, runs]) => `- \`${revision}\`: ${runs.join(", ")}`);
  return ["The runs were made by several revisions of the code:", lines.join("\n")];
}

function partText({ name, summaries, aims }: Part): string[] {
  const [first] = summaries;
  if (first === undefined) return [];
  const { scenario, intervals } = first.header;
  const faults = scenario.faults.map((fault) => `- ${describeFault(fault)}`);
  return [
    `## Scenario ${scenario.name}, ${intervals} intervals a slot`,
    `${scenario.about} Inside and outside: of the fault windows, which are shaded in the plots of the first run.`,
    "### Aims",
    table(
      ["aim", "met", "found"],
      aims.map(({ text, isMet, found }) => [text, isMet ? "yes" : "**no**", found]),
    ),
    ...bodyText(summaries),
    "### Votes",
    "A vote is published once most of the nodes that do not aggregate have stored a proof with it. Safe target and acceptance are the starts of the last two intervals of the vote's slot, the fence is the start of the slot after the next one.",
    voteTable(summaries),
    ...fateText(summaries),
    "### Finality lag, in slots",
    "From the finalized checkpoint to the current slot, at the node that is furthest.",
    table(
      ["mode", "outside mean", "p50", "p99", "max", "inside mean", "p50", "p99", "max"],
      summaries.map(({ header: { mode }, lagOutside, lagInside }) => [
        mode,
        ...lagCells(lagOutside),
        ...lagCells(lagInside),
      ]),
    ),
    "Where the mean outside the windows comes from, by playing the chain's rules again over one store (`tools/devnet/report/counterfactual.ts`): with every vote of every slot published just before the safe target, which is the least that the rules allow; with votes when they were cast, each published as soon as its links to the aggregator were there, as if proofs were free; with votes when they were published. The rest is blocks that travel and views that differ.",
    causesTable(summaries),
    `![Finality lag by slot](finality-${name}.svg)`,
    ...peakText(summaries),
    "### Slots and sessions",
    countTable(summaries),
    "### The aggregator's own duties",
    dutyTable(summaries),
    "### Ticks of the aggregator, in milliseconds",
    "An early start counts as its slot's interval 2 where anything was taken; `results` are proofs applied between two intervals.",
    tickTable(summaries),
    `![Aggregating tick by slot](tick-${name}.svg)`,
    "### Skips by reason",
    skipTable(summaries),
    ...(faults.length > 0 ? ["### Faults of the first run", faults.join("\n")] : []),
    ...restartLines(summaries),
  ];
}

function describeFault(fault: Fault): string {
  const nodes = "nodes" in fault ? ` node ${fault.nodes.join(" and ")}` : "";
  const until = "untilSlot" in fault ? ` until ${fault.untilSlot}` : "";
  return `slot ${fault.slot}${until}: ${fault.kind}${nodes}`;
}

function tickTable(summaries: readonly Summary[]): string {
  const nameOf = (interval: number, { header: { intervals } }: Summary) =>
    `${interval}, ${dutiesOf(interval, intervals).join(" and ")}`;
  const rows = summaries.flatMap((summary) =>
    [...summary.ticks].map(([interval, { count, p50, p99, max }]) => [
      summary.header.mode,
      interval === "results" ? "results" : nameOf(interval, summary),
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
const percent = (count: number, of: number) =>
  of === 0 ? "-" : `${((100 * count) / of).toFixed(1)} %`;

type Row = [name: string, cell: (summary: Summary) => string];

function byMode(summaries: readonly Summary[], rows: readonly Row[]): string {
  return table(
    ["", ...summaries.map(({ header }) => header.mode)],
    rows.map(([name, cell]) => [name, ...summaries.map(cell)]),
  );
}

function voteTable(summaries: readonly Summary[]): string {
  const share = (read: (of: Summary) => InsideOutside) => (of: Summary) =>
    [percent(read(of).outside, of.votes.outside), percent(read(of).inside, of.votes.inside)].join(
      " / ",
    );
  return byMode(summaries, [
    ["votes cast, outside / inside", ({ votes }) => split(votes)],
    ["published by the safe target", share(({ published }) => published.safeTarget)],
    ["published by acceptance", share(({ published }) => published.accept)],
    ["published by the fence", share(({ published }) => published.fence)],
    ["in no proof of anyone's", share(({ unrepresented }) => unrepresented)],
    ["slots without an aggregate", ({ withoutAggregate }) => split(withoutAggregate)],
  ]);
}

function bodyText(summaries: readonly Summary[]): string[] {
  if (summaries.every(({ bodies }) => bodies === null)) return [];
  const cell = (read: (of: Bodies, summary: Summary) => string) => (summary: Summary) =>
    summary.bodies === null ? "-" : read(summary.bodies, summary);
  const three = ({ p50, p99, max }: Quantiles) =>
    [p50, p99, max].map((value) => value.toFixed(1)).join(" / ");
  return [
    "### Blocks with one proof of their body",
    "A body is full when it has as many messages as it would have had with every proof at hand. Ticks are those of the nodes that propose in this slot or the next.",
    byMode(summaries, [
      ["proposals missed, outside / inside", ({ missed }) => split(missed)],
      ["proposals with something to attest", cell(({ proposals: { due } }) => String(due))],
      [
        "full body proof at the slot's start",
        cell(({ proposals: { full, due } }) => `${full}, ${percent(full, due)}`),
      ],
      [
        "a part of it / an empty body",
        cell(({ proposals: { part, empty } }) => `${part} / ${empty}`),
      ],
      ["chosen after the start, ms, p50 / p99 / max", cell((of) => three(of.chosenLateMs))],
      ["proposer's tick, ms, p50 / p99 / max", cell((of) => three(of.tickMs))],
      [
        "merges cancelled / refused / failed",
        cell(
          ({ ended: { cancelled, refused, failed } }) => `${cancelled} / ${refused} / ${failed}`,
        ),
      ],
    ]),
    "Merge time in seconds by number of messages: merges, then from start to proof as p50 and max, then the prover's own p50. A block proof, of the spec's form, has the proposer's signature as one message more, and counts from before that is made.",
    mergeTable(summaries),
  ];
}

function mergeTable(summaries: readonly Summary[]): string {
  const nameOf = (form: string, messages: number) => `${form}, ${messages}`;
  const all = summaries.flatMap(({ bodies }) => bodies?.merges ?? []);
  const names = [...new Set(all.map(({ form, components }) => nameOf(form, components)))];
  const seconds = (ms: number) => (ms / 1000).toFixed(2);
  const rows = names.toSorted().map((name): Row => [
    name,
    ({ bodies }) => {
      const of = bodies?.merges.find((each) => nameOf(each.form, each.components) === name);
      if (of === undefined) return "-";
      return `${of.ms.count}: ${seconds(of.ms.p50)} / ${seconds(of.ms.max)}, ${seconds(of.proveMs.p50)}`;
    },
  ]);
  return byMode(summaries, rows);
}

function fateText(summaries: readonly Summary[]): string[] {
  const fates = [...new Set(summaries.flatMap((each) => [...each.fates.keys()]))].sort();
  if (fates.length === 0) return [];
  const rows = fates.map((fate): Row => [fate, (each) => String(each.fates.get(fate) ?? 0)]);
  return [
    "What became of the votes that the service accepted, as the adapter counts them; one in no proof is submitted, and counted, again. Since the node's last start.",
    byMode(summaries, rows),
  ];
}

function causesTable(summaries: readonly Summary[]): string {
  const signed = (value: number) => `${value < 0 ? "" : "+"}${value.toFixed(1)}`;
  return byMode(summaries, [
    ["least by the chain's rules", ({ lagCauses: { least } }) => least.toFixed(1)],
    ["votes late or missing", ({ lagCauses: { cast, least } }) => signed(cast - least)],
    ["proofs late or missing", ({ lagCauses: { published, cast } }) => signed(published - cast)],
    ["the rest", ({ lagCauses: { measured, published } }) => signed(measured - published)],
    ["measured", ({ lagCauses: { measured } }) => measured.toFixed(1)],
  ]);
}

function peakText(summaries: readonly Summary[]): string[] {
  const rows = summaries.flatMap(({ header: { mode }, peaks }) =>
    peaks.map(({ seed, slot, lag, isInside, fault }) => [
      ...[mode, seed, slot, lag].map(String),
      isInside ? "inside" : "outside",
      fault === null ? "-" : describeFault(fault),
      fault === null ? "-" : String(slot - endOf(fault)),
    ]),
  );
  if (rows.length === 0) return [];
  return [
    `Peaks of the lag over ${LAG_MAX} slots, in every run, with the fault that ended last before each:`,
    table(["mode", "seed", "slot", "lag", "window", "fault", "slots before"], rows),
  ];
}

function countTable(summaries: readonly Summary[]): string {
  return byMode(summaries, [
    ["runs", ({ headers }) => String(headers.length)],
    ["slots", ({ slots }) => String(slots)],
    ["missed slots, outside / inside", ({ missed }) => split(missed)],
    ["sessions", ({ sessions }) => String(sessions)],
    ["aggregations skipped, outside / inside", ({ skipped }) => split(skipped.aggregation)],
    ["backlog skipped, outside / inside", ({ skipped }) => split(skipped.backlog)],
    ["session, mean seconds", (summary) => summary.sessionMeanSeconds.toFixed(2)],
    ["proofs applied", ({ applied }) => String(applied)],
    ["made after the deadline and used", ({ late }) => String(late)],
    ["applied in the slot after", ({ nextSlot }) => String(nextSlot)],
    ["applied two slots late or later", ({ stale }) => String(stale)],
    ["proofs made", ({ prover }) => String(prover.proofs)],
    ["prover busy, seconds", ({ prover }) => prover.busySeconds.toFixed(0)],
    ["prover busy, share of the run", (summary) => busyShare(summary)],
  ]);
}

function dutyTable(summaries: readonly Summary[]): string {
  const ms = ({ p50, p99 }: Quantiles) => `${p50.toFixed(0)} / ${p99.toFixed(0)}`;
  return byMode(summaries, [
    ["proposals made, of those due", ({ proposals: { made, due } }) => `${made} of ${due}`],
    ["made after the slot's start, ms, p50 / p99", ({ proposalLateMs }) => ms(proposalLateMs)],
    ["votes cast, of those due", ({ ownVotes: { cast, due } }) => `${cast} of ${due}`],
    ["votes cast before interval 2", ({ ownVotes: { inTime } }) => String(inTime)],
    ["ticks late, ms, p50 / p99", ({ tickLateMs }) => ms(tickLateMs)],
  ]);
}

function busyShare({ slots, header: { slotMs }, prover: { busySeconds } }: Summary): string {
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
  return lines.length > 0 ? ["### Restarts", lines.join("\n")] : [];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
