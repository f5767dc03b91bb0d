/** The report's text for the terminal and as Markdown. Pure: no dates, so that runs compare. */
import type { Goal } from "../measure/goals.js";
import type { Table } from "./table.js";

const LINE = 100;

/** One line for each goal, and one for what was found. */
export function goalsAsTerminal(goals: readonly Goal[]): string {
  const lines = goals.flatMap(({ text, isMet, found }) => [
    `${isMet ? "met   " : "MISSED"}  ${text}`,
    ...wrapped(found).map((line) => `        ${line}`),
  ]);
  return ["\nGoals", ...lines].join("\n").concat("\n");
}

export function asTerminal({ title, note, head, rows }: Table): string {
  const widths = head.map((cell, at) =>
    Math.max(cell.length, ...rows.map((row) => (row[at] ?? "").length)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join("  ")
      .trimEnd();
  const notes = note === undefined ? [] : wrapped(note);
  return [`\n${title}`, ...notes, line(head), ...rows.map(line)].join("\n").concat("\n");
}

function wrapped(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > LINE) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
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
    "**Weighted votes.** A vote is a pair of validator and message; judged are those that a group brings beyond its best child, which the node could publish as it is, each once. It is worth 4 in a proof that is ready before interval 3 of its slot starts, 2 before interval 4, 1 before the fence, and nothing after: the adapter's default steps. Backlog is worth 1 until its fence. A share is of the best possible weight: what the vote would be worth in the smallest part that may be proved of its group, begun at once on an idle lane.",
    "*In time*: taken up by a lane before its deadline, its verified proof there before its fence. Shares are of groups that a service of their own could have proved in time, at least in part; what a flooding node asks is not counted. *Votes*: those in a proof in time, whenever it is ready. *Fairness*: Jain's index over nodes of groups in time over groups asked. *Wasted*: prover time of proofs that came after their fence or were killed at it (missed), were killed for others (preempted), or repeated one that was usable (duplicate), over all prover time; crashes apart. *Refused wrongly*: refused by prediction though, by true durations, it would have been in time: at accept on any lane behind the queue ahead, at dispatch at once on a lane that does not prove.",
    "*Gateway*: the order of inference gateways. The highest class first, within it the nodes in turn, of a node the earliest deadline; what waits past its deadline is dropped, what runs at its fence is killed; a group is admitted and started only where it is predicted to be in time, by the service's own cost model, one a lane, which learns from every proof. *First come*: one queue for all lanes, start until the deadline, no prediction. *Skip when busy*: what clients do by themselves today; an idle lane takes a snapshot, all others are skipped until it is through. All three prove whole groups, and equal groups each on its own. The first two keep to one session a node and class at a time.",
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
