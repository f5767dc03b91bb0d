/** Formats the results of a bench: a table and verdicts for people, and the same as JSON. Pure. */

/** The cells of one table row, by column. Columns end in the unit: `ackP99Ms`, `serverRssMb`. */
export type Row = Readonly<Record<string, number | string>>;

/** A figure for which the design has a goal: it must be at most `atMost`. */
export interface Goal {
  /** What the figure is. */
  what: string;
  value: number;
  /** Standard error of the value, where it is known. */
  error?: number;
  atMost: number;
  /** Printed behind the figures, with its space, for example " ms". */
  unit: string;
}

/** One measurement's result. */
export interface Section {
  title: string;
  rows: readonly Row[];
  goals: readonly Goal[];
  /** What a reader has to know about the figures. */
  notes: readonly string[];
}

/** Whether the goal is met. NaN, a missing figure, misses it. */
export function verdict({ value, atMost }: Goal): "met" | "missed" {
  return value <= atMost ? "met" : "missed";
}

function rounded(value: number): number {
  return Number(value.toFixed(2));
}

/** Formats rows as lines. Columns are as wide as their widest cell; a missing value is empty. */
export function table(rows: readonly Row[]): string[] {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const lines = [names, ...rows.map((row) => names.map((name) => cell(row[name])))];
  const widths = names.map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
  return lines.map((line) =>
    line.map((text, at) => text.padStart((widths[at] ?? 0) + (at === 0 ? 0 : 2))).join(""),
  );
}

function cell(value: number | string | undefined): string {
  return typeof value === "number" ? String(rounded(value)) : (value ?? "");
}

export function goalLine(goal: Goal): string {
  const { what, value, error, atMost, unit } = goal;
  const uncertain = error === undefined ? "" : ` ± ${cell(error)}`;
  const figures = `${cell(value)}${uncertain}${unit}, goal at most ${cell(atMost)}${unit}`;
  return `${verdict(goal)}: ${what}: ${figures}`;
}

export function sectionText({ title, rows, goals, notes }: Section): string {
  const lines = [...table(rows), ...goals.map(goalLine), ...notes];
  return [title, ...lines.map((line) => `  ${line}`)].join("\n");
}

/** The section as it is written to `out/bench.json`: figures rounded to hundredths. */
export function sectionJson({ title, rows, goals }: Section) {
  const roundedRow = (row: Row) =>
    Object.fromEntries(
      Object.entries(row).map(([name, value]) => [
        name,
        typeof value === "number" ? rounded(value) : value,
      ]),
    );
  const judged = goals.map((goal) => ({
    ...goal,
    value: rounded(goal.value),
    ...(goal.error !== undefined && { error: rounded(goal.error) }),
    verdict: verdict(goal),
  }));
  return { title, rows: rows.map(roundedRow), goals: judged };
}
