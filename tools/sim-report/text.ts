/** The report's text for the terminal and as Markdown. Pure: no dates, so that runs compare. */
import type { Table } from "./tables.js";

export function asTerminal({ title, head, rows }: Table): string {
  const widths = head.map((cell, at) =>
    Math.max(cell.length, ...rows.map((row) => (row[at] ?? "").length)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join("  ")
      .trimEnd();
  return [`\n${title}`, line(head), ...rows.map(line)].join("\n").concat("\n");
}

export interface Making {
  /** With the seed. */
  command: string;
  plots: readonly { file: string; title: string }[];
}

export function asMarkdown(tables: readonly Table[], { command, plots }: Making): string {
  const [goals, ...others] = tables;
  return [
    "# The schedule, judged in virtual time",
    `Made by \`${command}\`. The real sessions, scheduler and lanes run on virtual time; only the provers are simulated, and take what a proof of their shape was measured to take, by a device of unknown speed that drifts, with scatter. The same seed gives the same report, byte for byte.`,
    "*In time*: taken up by a lane before its deadline, its verified proof there before its fence. Shares are of groups that a service of their own could have proved in time, at least in part; what a flooding node asks is not counted. *Votes*: distinct validators per attestation data that came as raw signatures and are in a proof in time. *Fairness*: Jain's index over nodes of groups in time over groups asked. *Unusable*: prover time of proofs that came after their fence or were killed at it (missed), were killed for others (preempted), or repeated one that was usable (duplicate), over all prover time; crashes apart. *Refused wrongly*: refused by prediction though, by true durations, it would have been in time: at accept on any lane behind the queue ahead, at dispatch at once on a lane that does not prove.",
    "*First come*: one queue for all lanes, start until the deadline, no prediction, no parts. *Skip when busy*: what clients do by themselves today; an idle lane takes a snapshot, all others are skipped until it is through. Both keep to one session a node and class at a time.",
    ...(goals === undefined ? [] : section(goals)),
    ...plots.map(({ file, title }) => `![${title}](${file})`),
    ...others.flatMap(section),
  ]
    .join("\n\n")
    .concat("\n");
}

function section({ title, note, head, rows }: Table): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const grid = [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
  return [`## ${title}`, ...(note === undefined ? [] : [note]), grid];
}
