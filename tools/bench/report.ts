/** How the bench reports its results: a table and verdicts for people, the same as JSON. Pure. */

/** Of one table row. Names end in the unit: `ackP99Ms`, `serverRssMb`. */
export type Row = Readonly<Record<string, number | string>>;

/** What the design asks of a figure. */
export interface Goal {
  what: string;
  value: number;
  /** Standard error of the value, where it is known. */
  error?: number;
  atMost: number;
  unit: string;
}

/** One measurement's result. */
export interface Section {
  title: string;
  rows: readonly Row[];
  goals: readonly Goal[];
  /** What a reader has to know to read the figures rightly. */
  notes: readonly string[];
}

/** NaN misses its goal: a missing figure shows nothing. */
export function verdict({ value, atMost }: Goal): "met" | "missed" {
  return value <= atMost ? "met" : "missed";
}

function rounded(value: number): number {
  return Number(value.toFixed(2));
}

/** Columns are as wide as their widest cell; a row without a column's value leaves it empty. */
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

/** What goes to `out/bench.json`, rounded to hundredths. */
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
