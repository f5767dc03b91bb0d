/** Draws a small plot as SVG: a line or dots for each series, on shaded windows. Pure. */

export interface Point {
  x: number;
  value: number;
}

export interface Series {
  name: string;
  points: readonly Point[];
}

export interface PlotOptions {
  title: string;
  /** Unit of the values, at the y axis. */
  unit: string;
  /** Name of the x axis, which starts at 0. */
  xName: string;
  /** True: the y axis is logarithmic, from 0.1. False: linear, from 0. */
  isLogarithmic: boolean;
  /** True: a line through the points of a series. False: dots. */
  isLine: boolean;
  /** Spans of x whose background is shaded. */
  windows: readonly { from: number; to: number }[];
}

const WIDTH = 900;
const HEIGHT = 320;
const LEFT = 60;
const RIGHT = 15;
const TOP = 50;
const BOTTOM = 40;
const LEGEND_WIDTH = 140;
const LOG_FLOOR = 0.1;
/** Colours that people with colour blindness can distinguish, also in print. */
const COLOURS = ["#d55e00", "#e69f00", "#0072b2", "#009e73", "#cc79a7", "#000000"];

export function plot(series: readonly Series[], options: PlotOptions): string {
  const points = series.flatMap((each) => each.points);
  const last = Math.max(1, ...points.map((point) => point.x));
  const top = Math.max(1, ...points.map(({ value }) => value));
  const x = (at: number) => LEFT + (at / last) * (WIDTH - LEFT - RIGHT);
  const scale = options.isLogarithmic ? logScale(top) : linearScale(top);
  const y = (value: number) => HEIGHT - BOTTOM - scale.share(value) * (HEIGHT - TOP - BOTTOM);
  const parts = [
    text(LEFT, 18, options.title, 'font-weight="bold"'),
    ...options.windows.map(({ from, to }) => shade(x(from), x(Math.min(to, last)))),
    ...scale.ticks.flatMap((value) => [
      line(LEFT, y(value), WIDTH - RIGHT, y(value), "#ddd"),
      text(LEFT - 6, y(value) + 4, `${value}`, 'text-anchor="end"'),
    ]),
    text(LEFT - 6, TOP - 10, options.unit, 'text-anchor="end"'),
    ...steps(last).map((at) => text(x(at), HEIGHT - BOTTOM + 16, `${at}`, 'text-anchor="middle"')),
    text((LEFT + WIDTH) / 2, HEIGHT - 6, options.xName, 'text-anchor="middle"'),
    ...series.flatMap((each, at) => {
      const colour = COLOURS[at % COLOURS.length] ?? "#000";
      const legend = text(LEFT + at * LEGEND_WIDTH, 36, `■ ${each.name}`, `fill="${colour}"`);
      return [legend, draw(each, { x, y, colour, isLine: options.isLine })];
    }),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">\n<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>\n${parts.join("\n")}\n</svg>\n`;
}

interface Drawing {
  x(at: number): number;
  y(value: number): number;
  colour: string;
  isLine: boolean;
}

function draw({ points }: Series, { x, y, colour, isLine }: Drawing): string {
  const at = points.map((point) => [x(point.x).toFixed(1), y(point.value).toFixed(1)]);
  if (isLine) {
    const path = at.map((pair) => pair.join(",")).join(" ");
    return `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="1.5"/>`;
  }
  const dots = at.map(([cx, cy]) => `<circle cx="${cx ?? ""}" cy="${cy ?? ""}" r="2"/>`);
  return `<g fill="${colour}" fill-opacity="0.7">${dots.join("")}</g>`;
}

function linearScale(top: number) {
  const ticks = steps(top);
  const max = Math.max(top, ticks.at(-1) ?? 1);
  return { ticks, share: (value: number) => value / max };
}

function logScale(top: number) {
  const decades = Math.ceil(Math.log10(top / LOG_FLOOR));
  const ticks = Array.from({ length: decades + 1 }, (_, at) =>
    Number((LOG_FLOOR * 10 ** at).toPrecision(1)),
  );
  const share = (value: number) => Math.log10(Math.max(value, LOG_FLOOR) / LOG_FLOOR) / decades;
  return { ticks, share };
}

/** Round numbers from 0 to `top` at equal distances, about ten at most. */
function steps(top: number): number[] {
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find((each) => top / each <= 10) ?? top;
  return Array.from({ length: Math.floor(top / step) + 1 }, (_, at) => at * step);
}

function shade(from: number, to: number): string {
  return `<rect x="${from.toFixed(1)}" y="${TOP}" width="${(to - from).toFixed(1)}" height="${HEIGHT - TOP - BOTTOM}" fill="#eee"/>`;
}

function line(x1: number, y1: number, x2: number, y2: number, colour: string): string {
  return `<line x1="${x1}" y1="${y1.toFixed(1)}" x2="${x2}" y2="${y2.toFixed(1)}" stroke="${colour}"/>`;
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${content}</text>`;
}
