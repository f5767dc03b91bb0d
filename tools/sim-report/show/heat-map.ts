/** Draws a table of signed numbers as SVG: blue for above 0, orange for below. Pure. */

export interface HeatMap {
  title: string;
  columns: readonly string[];
  rows: readonly string[];
  /** By row, then by column; undefined for an empty cell. */
  values: readonly (readonly (number | undefined)[])[];
}

const LEFT = 150;
const TOP = 56;
const CELL_WIDTH = 78;
const CELL_HEIGHT = 24;
/** The value from which a cell has its full colour. */
const FULL = 20;
/** Colours that people with colour blindness can distinguish, also in print. */
const ABOVE = "#0072b2";
const BELOW = "#d55e00";

export function heatMap({ title, columns, rows, values }: HeatMap): string {
  const width = LEFT + columns.length * CELL_WIDTH + 10;
  const height = TOP + rows.length * CELL_HEIGHT + 10;
  const x = (column: number) => LEFT + column * CELL_WIDTH;
  const y = (row: number) => TOP + row * CELL_HEIGHT;
  const parts = [
    text(10, 18, title, 'font-weight="bold"'),
    ...columns.map((name, at) => text(x(at) + CELL_WIDTH / 2, TOP - 8, name, MIDDLE)),
    ...rows.map((name, at) => text(LEFT - 8, y(at) + 16, name, 'text-anchor="end"')),
    ...values.flatMap((row, at) =>
      row.flatMap((value, column) => (value === undefined ? [] : cell(x(column), y(at), value))),
    ),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">\n<rect width="${width}" height="${height}" fill="#fff"/>\n${parts.join("\n")}\n</svg>\n`;
}

const MIDDLE = 'text-anchor="middle"';

function cell(x: number, y: number, value: number): string {
  const strength = Math.min(1, Math.abs(value) / FULL);
  const fill = value < 0 ? BELOW : ABOVE;
  const rect = `<rect x="${x}" y="${y}" width="${CELL_WIDTH - 2}" height="${CELL_HEIGHT - 2}" fill="${fill}" fill-opacity="${(0.08 + 0.82 * strength).toFixed(2)}"/>`;
  const rounded = value.toFixed(1);
  const words = rounded === "-0.0" ? "0.0" : rounded.replace("-", "−");
  const colour = strength > 0.55 ? "#fff" : "#000";
  return rect + text(x + CELL_WIDTH / 2 - 1, y + 15, words, `${MIDDLE} fill="${colour}"`);
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${x}" y="${y}" ${attributes}>${content}</text>`;
}
