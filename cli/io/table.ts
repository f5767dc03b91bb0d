/** One column of a table in plain text. */
export interface Column<Row> {
  title: string;
  /** Use "right" for numbers. Default: "left". */
  align?: "left" | "right";
  /** Least width in characters, for rows printed one at a time. Default: the title's length. */
  width?: number;
  cell(row: Row): string;
}

/** A header and one line for each row; each column is as wide as its widest cell. */
export function formatTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const cells = [titlesOf(columns), ...rows.map((row) => columns.map(({ cell }) => cell(row)))];
  const widths = columns.map((_, at) => Math.max(...cells.map((line) => line[at]?.length ?? 0)));
  return cells.map((line) => `${formatLine(columns, line, widths)}\n`).join("");
}

/** The header for rows that are printed one at a time. */
export function formatHeader<Row>(columns: readonly Column<Row>[]): string {
  return formatLine(columns, titlesOf(columns), fixedWidths(columns));
}

/** One row in the columns' fixed widths; a longer cell shifts the rest of its line. */
export function formatRow<Row>(columns: readonly Column<Row>[], row: Row): string {
  const line = columns.map(({ cell }) => cell(row));
  return formatLine(columns, line, fixedWidths(columns));
}

const titlesOf = <Row>(columns: readonly Column<Row>[]) => columns.map(({ title }) => title);
const fixedWidths = <Row>(columns: readonly Column<Row>[]) =>
  columns.map(({ title, width = 0 }) => Math.max(title.length, width));

function formatLine<Row>(
  columns: readonly Column<Row>[],
  line: readonly string[],
  widths: readonly number[],
): string {
  const padded = line.map((cell, at) => {
    const width = widths[at] ?? 0;
    return columns[at]?.align === "right" ? cell.padStart(width) : cell.padEnd(width);
  });
  return padded.join("  ").trimEnd();
}
