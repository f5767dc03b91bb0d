/** Draws what `tune` has measured: for each shape a line through the layouts, latency by rate. Pure. */
import { p50Ms } from "./goal.js";
import { nameOf } from "./layouts.js";
import type { LayoutFigures } from "./measure.js";
import { shapeName } from "./report.js";

const WIDTH = 760;
const HEIGHT = 420;
const MARGIN = { left: 60, right: 120, top: 50, bottom: 45 };
/** Colours that people with colour blindness can distinguish, also in print. */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"];
const TICKS = 5;

/** @param title one line, such as the host's processor */
export function layoutsSvg(layouts: readonly LayoutFigures[], title: string): string {
  const names = [
    ...new Set(layouts.flatMap((of) => of.shapes.map(({ shape }) => shapeName(shape)))),
  ];
  const lines = names.map((name) => ({
    name,
    points: layouts.flatMap(({ layout, shapes }) =>
      shapes
        .filter(({ shape }) => shapeName(shape) === name)
        .map((figures) => ({
          name: nameOf(layout),
          ms: p50Ms(figures),
          rate: figures.proofsPerSecond,
        })),
    ),
  }));
  const all = lines.flatMap(({ points }) => points);
  const msTop = roundUp(Math.max(1, ...all.map(({ ms }) => ms)));
  const rateTop = roundUp(Math.max(0.01, ...all.map(({ rate }) => rate)));
  const { left, right, top, bottom } = MARGIN;
  const x = (ms: number) => left + (ms / msTop) * (WIDTH - left - right);
  const y = (rate: number) => HEIGHT - bottom - (rate / rateTop) * (HEIGHT - top - bottom);
  const parts = [
    text(left, 20, title, 'font-weight="bold"'),
    text(left, 38, "proofs a second", ""),
    text(WIDTH - right, HEIGHT - 8, "median milliseconds of a proof", 'text-anchor="end"'),
    ...ticks(rateTop).flatMap((rate) => [
      `<line x1="${left}" x2="${WIDTH - right}" y1="${y(rate)}" y2="${y(rate)}" stroke="#ddd"/>`,
      text(left - 6, y(rate) + 4, `${rate}`, 'text-anchor="end"'),
    ]),
    ...ticks(msTop).map((ms) => text(x(ms), HEIGHT - bottom + 16, `${ms}`, 'text-anchor="middle"')),
    ...lines.flatMap(({ name, points }, at) => {
      const colour = COLOURS[at % COLOURS.length] ?? "#000";
      const path = points.map(({ ms, rate }) => `${x(ms).toFixed(1)},${y(rate).toFixed(1)}`);
      return [
        `<polyline points="${path.join(" ")}" fill="none" stroke="${colour}"/>`,
        ...points.flatMap((point) => [
          `<circle cx="${x(point.ms).toFixed(1)}" cy="${y(point.rate).toFixed(1)}" r="3.5" fill="${colour}"/>`,
          text(x(point.ms) + 6, y(point.rate) - 6, point.name, `fill="${colour}"`),
        ]),
        text(WIDTH - right + 10, top + 16 * at, `● ${name}`, `fill="${colour}"`),
      ];
    }),
  ];
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`;
  return `${head}\n<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>\n${parts.join("\n")}\n</svg>\n`;
}

const ticks = (top: number) =>
  Array.from({ length: TICKS + 1 }, (_, at) => Number(((top * at) / TICKS).toPrecision(3)));

/** The next number of the form 1, 2, 2.5, 5 times a power of ten. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 2.5, 5].find((step) => value <= step * power) ?? 10);
}

function text(x: number, y: number, content: string, attributes: string): string {
  const escaped = content.replace(/[<&>]/g, (sign) => `&#${sign.charCodeAt(0)};`);
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escaped}</text>`;
}
