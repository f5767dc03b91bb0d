/** What `tune` prints: a table, bars for people on a terminal, and the choice for each goal. Pure. */
import type { Column } from "../io/table.js";
import { formatTable } from "../io/table.js";
import { bestFor, goals, p50Ms, p90Ms } from "./goal.js";
import { nameOf } from "./layouts.js";
import type { LayoutFigures, ShapeFigures } from "./measure.js";
import type { Shape } from "../../server/work/shape.js";

const BAR_LENGTH = 24;

export function shapeName({ raws, children }: Shape): string {
  const parts = [
    ...(children > 0 ? [`${children} ${children === 1 ? "child" : "children"}`] : []),
    ...(raws > 0 ? [`${raws} ${raws === 1 ? "raw" : "raws"}`] : []),
  ];
  return parts.join(" + ");
}

interface Line {
  of: LayoutFigures;
  figures: ShapeFigures;
  isFirst: boolean;
}

const columns: readonly Column<Line>[] = [
  {
    title: "lanes x cores",
    cell: ({ of, isFirst }) => (isFirst ? nameOf(of.layout) : ""),
  },
  { title: "proof of", cell: ({ figures }) => shapeName(figures.shape) },
  { title: "p50 ms", align: "right", cell: ({ figures }) => whole(p50Ms(figures)) },
  { title: "p90 ms", align: "right", cell: ({ figures }) => whole(p90Ms(figures)) },
  { title: "proofs/s", align: "right", cell: ({ figures }) => figures.proofsPerSecond.toFixed(2) },
  {
    title: "raws/s",
    align: "right",
    cell: ({ figures: { shape, proofsPerSecond } }) =>
      shape.children > 0 ? "" : (shape.raws * proofsPerSecond).toFixed(1),
  },
  { title: "proofs", align: "right", cell: ({ figures }) => `${figures.tookMs.length}` },
  {
    title: "MB each",
    align: "right",
    cell: ({ of, isFirst }) => (isFirst && of.proverBytes > 0 ? megabytes(of.proverBytes) : ""),
  },
  {
    title: "MB all",
    align: "right",
    cell: ({ of: { proverBytes, layout }, isFirst }) =>
      isFirst && proverBytes > 0 ? megabytes(proverBytes * layout.cores.length) : "",
  },
];

/** The whole report; ends in a line break. */
export function reportText(layouts: readonly LayoutFigures[], isFake: boolean): string {
  const lines = layouts.flatMap((of) =>
    of.shapes.map((figures, at): Line => ({ of, figures, isFirst: at === 0 })),
  );
  const problems = layouts.flatMap(({ layout, problem }) =>
    problem === undefined ? [] : [`${nameOf(layout)}: not measured whole: ${problem}\n`],
  );
  const fake = isFake ? ["FAKE: proofs are simulated, and no figure is of a proof\n\n"] : [];
  if (lines.length === 0) return [...fake, ...problems].join("");
  return [
    ...fake,
    formatTable(columns, lines),
    ...problems,
    "\n",
    ...barsText(layouts),
    "\n",
    ...choiceText(layouts),
  ].join("");
}

/** For each shape a line of bars for each layout. */
function barsText(layouts: readonly LayoutFigures[]): string[] {
  const shapes = [
    ...new Set(layouts.flatMap((of) => of.shapes.map(({ shape }) => shapeName(shape)))),
  ];
  return shapes.flatMap((name, at) => {
    const found = layouts.flatMap(({ layout, shapes: measured }) => {
      const figures = measured.find(({ shape }) => shapeName(shape) === name);
      return figures === undefined ? [] : [{ layout, figures }];
    });
    const fastest = Math.max(...found.map(({ figures }) => figures.proofsPerSecond));
    const slowest = Math.max(...found.map(({ figures }) => p50Ms(figures)));
    const width = Math.max(...found.map(({ layout }) => nameOf(layout).length));
    const rows = found.map(({ layout, figures }) => {
      const rate = bar(figures.proofsPerSecond / fastest).padEnd(BAR_LENGTH);
      const time = bar(p50Ms(figures) / slowest);
      const perSecond = figures.proofsPerSecond.toFixed(2).padStart(6);
      return `  ${nameOf(layout).padEnd(width)}  ${perSecond} ${rate}  ${whole(p50Ms(figures)).padStart(6)} ${time}\n`;
    });
    const title = `${"".padEnd(width + 4)}${"proofs/s".padEnd(BAR_LENGTH + 11)}p50 ms`;
    return [`${at === 0 ? "" : "\n"}${name}\n${title}\n`, ...rows];
  });
}

const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** @param share from 0 to 1 */
function bar(share: number): string {
  const eighths = Math.max(1, Math.round(share * BAR_LENGTH * 8));
  return "█".repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? "");
}

function choiceText(layouts: readonly LayoutFigures[]): string[] {
  return goals.flatMap((goal) => {
    const best = bestFor(goal, layouts);
    return best === undefined ? [] : [`--goal ${goal.padEnd(10)}  ${nameOf(best.layout)}\n`];
  });
}

const whole = (value: number) => String(Math.round(value));
const megabytes = (bytes: number) => whole(bytes / 1e6);
