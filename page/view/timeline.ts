/**
 * Draws what happened against time: on top each group as a bar, by slot, with deadlines and fences as
 * lines; below each device with the work of its lane; at the bottom votes that came and went.
 */
import type { ActivityModel, LaneBar } from "../model/activity-model.js";
import type { Group } from "../model/group.js";
import { relatedTo } from "../model/related.js";
import { bySlot, jobKind, lookOf, sizeText, systemOf, systemsOf } from "../model/figures.js";
import { deviceText } from "../model/describe.js";
import { svg } from "./dom.js";
import { drawVotes, VOTES_HEIGHT } from "./votes-track.js";

/** The stretch of time that is shown, on the service's clock. */
export interface Span {
  fromMs: number;
  toMs: number;
  /** The instant up to which things are known. */
  nowMs: number;
  /** Unix time less the service's clock, for the labels of the axis. */
  unixOffsetMs: number;
}

/** A bar on the screen, for the pointer and the keyboard. */
export interface DrawnBar {
  key: string;
  row: number;
  x: number;
  y: number;
}

const GUTTER = 172;
const RIGHT = 14;
const AXIS_HEIGHT = 26;
const SECTION_GAP = 26;
const LANE_HEIGHT = 24;
const SYSTEM_HEIGHT = 20;
const ROWS_MAX = 240;
const LANES_MAX = 64;
/** About as many bars are drawn on all lanes together; shorter ones are drawn as one. */
const LANE_BARS_MAX = 1000;
const TICKS_MS = [500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 120_000, 300_000, 900_000];

export class Timeline {
  /** By row and time, as drawn last. */
  drawn: DrawnBar[] = [];
  private span: Span = { fromMs: 0, toMs: 1, nowMs: 1, unixOffsetMs: 0 };
  private width = 800;
  private selected = "";
  /** What belongs to the selected bar. */
  private related = new Set<string>();
  private content: Element[] = [];

  constructor(private readonly element: SVGSVGElement) {}

  draw(model: ActivityModel, span: Span, selected: string): void {
    this.span = span;
    this.width = Math.max(360, this.element.clientWidth);
    this.selected = selected;
    this.related = relatedTo(selected, model);
    this.drawn = [];
    this.content = [];
    const groupsEnd = this.drawGroups(model, AXIS_HEIGHT + 8);
    const lanesEnd = this.drawLanes(model, groupsEnd + SECTION_GAP);
    this.heading("votes in and out", lanesEnd + SECTION_GAP - 8);
    const votesAt = lanesEnd + SECTION_GAP;
    const geometry = { ...span, x: (ms: number) => this.x(ms), y: votesAt, gutter: GUTTER };
    this.content.push(...drawVotes(model, geometry));
    const height = votesAt + VOTES_HEIGHT + 6;
    this.element.setAttribute("height", String(height));
    this.element.setAttribute("viewBox", `0 0 ${this.width} ${height}`);
    const axis = this.axis(height);
    this.element.replaceChildren(patterns(), ...axis, ...this.content);
  }

  private x(ms: number): number {
    const { fromMs, toMs } = this.span;
    const share = (ms - fromMs) / (toMs - fromMs);
    return GUTTER + Math.min(1, Math.max(0, share)) * (this.width - GUTTER - RIGHT);
  }

  private isVisible(startMs: number, endMs: number): boolean {
    return startMs <= this.span.toMs && endMs >= this.span.fromMs;
  }

  private axis(height: number): Element[] {
    const { fromMs, toMs, nowMs, unixOffsetMs } = this.span;
    const places = Math.max(2, (this.width - GUTTER) / 110);
    const step = TICKS_MS.find((ms) => (toMs - fromMs) / ms <= places) ?? 3_600_000;
    const lines: Element[] = [];
    const first = Math.ceil((fromMs + unixOffsetMs) / step) * step;
    for (let unixMs = first; unixMs <= toMs + unixOffsetMs; unixMs += step) {
      const x = this.x(unixMs - unixOffsetMs);
      lines.push(svg("line", { class: "grid", x1: x, x2: x, y1: AXIS_HEIGHT, y2: height }));
      const text = clockText(unixMs, step < 1000);
      lines.push(svg("text", { class: "tick", x, y: 16, "text-anchor": "middle" }, text));
    }
    if (nowMs >= fromMs && nowMs <= toMs) {
      const x = this.x(nowMs);
      lines.push(svg("line", { class: "now", x1: x, x2: x, y1: AXIS_HEIGHT - 4, y2: height }));
    }
    return lines;
  }

  private heading(text: string, y: number): void {
    this.content.push(svg("text", { class: "heading", x: 0, y }, text));
  }

  /** Returns where the rows end. */
  private drawGroups(model: ActivityModel, top: number): number {
    const { nowMs } = this.span;
    this.heading("groups by slot", top - 14);
    const visible = [...model.groups.values()].filter(({ session, end }) =>
      this.isVisible(session.receivedAtMs, end?.atMs ?? nowMs),
    );
    const slots = bySlot(visible);
    const rows = visible.length;
    const rowHeight = rows <= 28 ? 18 : rows <= 60 ? 12 : 7;
    let y = top;
    let row = 0;
    for (const [at, [slot, groups]] of slots.entries()) {
      if (row >= ROWS_MAX) break;
      const shown = groups.slice(0, ROWS_MAX - row);
      const height = shown.length * rowHeight + 4;
      const band = at % 2 === 0 ? "band" : "band other";
      this.content.push(svg("rect", { class: band, x: 0, y, width: this.width, height }));
      this.content.push(svg("text", { class: "slot", x: 6, y: y + 13 }, `slot ${slot}`));
      this.drawSlot(shown, model, { y: y + 2, rowHeight, row });
      y += height;
      row += shown.length;
    }
    if (rows > row) {
      const text = `and ${rows - row} more groups, which the figures and the votes below count`;
      this.content.push(svg("text", { class: "more", x: GUTTER, y: y + 14 }, text));
      y += 18;
    }
    return Math.max(y, top + 18);
  }

  private drawSlot(
    groups: readonly Group[],
    model: ActivityModel,
    place: { y: number; rowHeight: number; row: number },
  ): void {
    const { rowHeight, row } = place;
    let session = "";
    groups.forEach((group, at) => {
      const y = place.y + at * rowHeight;
      if (group.session.session !== session && rowHeight >= 12) {
        const name = cutText(group.session.node, 14);
        const text = { class: "node", x: GUTTER - 8, y: y + rowHeight / 2 + 4 };
        this.content.push(svg("text", { ...text, "text-anchor": "end" }, name));
      }
      session = group.session.session;
      this.drawLimits(group, y, rowHeight);
      this.drawGroup(group, model, { y, rowHeight, row: row + at });
    });
  }

  /** The deadline and the fence of the group's session, as lines over its row. */
  private drawLimits({ session }: Group, y: number, height: number): void {
    for (const [name, atMs] of [
      ["deadline", session.deadlineAtMs],
      ["fence", session.fenceAtMs],
    ] as const) {
      if (!this.isVisible(atMs, atMs)) continue;
      const x = this.x(atMs);
      this.content.push(svg("line", { class: name, x1: x, x2: x, y1: y, y2: y + height }));
    }
  }

  private drawGroup(
    group: Group,
    model: ActivityModel,
    { y, rowHeight, row }: { y: number; rowHeight: number; row: number },
  ): void {
    const { session, startedAtMs, provingAtMs, end, key } = group;
    const untilMs = end?.atMs ?? this.span.nowMs;
    const look = lookOf(group);
    const merge = group.size.messages > 0 ? " merge" : "";
    const height = rowHeight - 3;
    const parts: Element[] = [];
    const part = (name: string, fromMs: number, toMs: number, thin = false) => {
      const [x1, x2] = [this.x(fromMs), this.x(toMs)];
      const inset = thin ? height / 4 : 0;
      const box = {
        x: x1,
        y: y + inset,
        width: Math.max(1.5, x2 - x1),
        height: height - 2 * inset,
      };
      if (this.isVisible(fromMs, toMs)) parts.push(svg("rect", { class: `bar ${name}`, ...box }));
    };
    part("waiting", session.receivedAtMs, startedAtMs ?? untilMs, true);
    if (startedAtMs !== undefined) part("verifying", startedAtMs, provingAtMs ?? untilMs, true);
    if (provingAtMs !== undefined)
      part(`${end === undefined ? "proving" : look}${merge}`, provingAtMs, untilMs);
    if (end !== undefined && this.isVisible(untilMs, untilMs)) {
      parts.push(endMark(look, this.x(untilMs), y + height / 2, Math.min(6, height / 2)));
    }
    const fromX = this.x(provingAtMs ?? startedAtMs ?? session.receivedAtMs);
    const room = this.x(untilMs) - fromX;
    if (rowHeight >= 18 && room > 44) {
      const text = { class: "label", x: fromX + 6, y: y + height / 2 + 4 };
      parts.push(svg("text", text, groupLabel(group, model, room)));
    }
    this.add(key, row, parts, {
      y,
      height,
      x: this.x(session.receivedAtMs),
      endX: this.x(untilMs),
    });
  }

  /** Returns where the rows end. */
  private drawLanes(model: ActivityModel, top: number): number {
    this.heading("devices", top - 8);
    let y = top;
    let before = "";
    const names = laneNames(model);
    const lanes = names.slice(0, LANES_MAX);
    const stepX = Math.max(1.5, ((this.width - GUTTER) * lanes.length) / LANE_BARS_MAX);
    lanes.forEach(({ device, system }, at) => {
      if (system !== before) {
        y += SYSTEM_HEIGHT;
        this.content.push(
          svg("text", { class: "system", x: 6, y: y - 5 }, `proof system ${system}`),
        );
      }
      before = system;
      const row = ROWS_MAX + at;
      const width = this.width;
      const band = at % 2 === 0 ? "band" : "band other";
      this.content.push(svg("rect", { class: band, x: 0, y, width, height: LANE_HEIGHT }));
      const name = cutText(deviceText(device, model.devices), 24);
      this.content.push(svg("text", { class: "slot", x: 6, y: y + 16 }, name));
      this.drawBars(model.lanes.get(device) ?? [], model, { y, row, stepX });
      y += LANE_HEIGHT;
    });
    if (names.length > lanes.length) {
      const text = `and ${names.length - lanes.length} more devices`;
      this.content.push(svg("text", { class: "more", x: GUTTER, y: y + 14 }, text));
      y += 18;
    }
    return Math.max(y, top + LANE_HEIGHT);
  }

  /** Draws the bars of a lane: those shorter than `stepX` that stand together as one. */
  private drawBars(
    bars: readonly LaneBar[],
    model: ActivityModel,
    { y, row, stepX }: { y: number; row: number; stepX: number },
  ): void {
    let short: { bars: LaneBar[]; x: number; endX: number } | undefined;
    const flush = () => {
      const [only, ...others] = short?.bars ?? [];
      if (only === undefined || short === undefined) return;
      if (others.length === 0) this.drawLane(only, model, y, row);
      else {
        const box = { x: short.x, y: y + 3, height: LANE_HEIGHT - 6 };
        const width = Math.max(1.5, short.endX - short.x);
        this.content.push(svg("rect", { class: "bar several", ...box, width }));
      }
      short = undefined;
    };
    for (const bar of bars) {
      const untilMs = bar.endAtMs ?? this.span.nowMs;
      if (!this.isVisible(bar.startAtMs, untilMs)) continue;
      const [x, endX] = [this.x(bar.startAtMs), this.x(untilMs)];
      if (short !== undefined && endX > short.x + stepX) flush();
      if (endX > x + stepX) this.drawLane(bar, model, y, row);
      else {
        short ??= { bars: [], x, endX };
        short.bars.push(bar);
        short.endX = endX;
      }
    }
    flush();
  }

  private drawLane(bar: LaneBar, model: ActivityModel, y: number, row: number): void {
    const untilMs = bar.endAtMs ?? this.span.nowMs;
    if (!this.isVisible(bar.startAtMs, untilMs)) return;
    // The look of its newest group: those that share an attempt end alike, mostly.
    const group = model.groupsOf(bar).at(-1);
    const kind = jobKind(bar, model);
    const [x1, xp, x2] = [bar.startAtMs, bar.proofAtMs ?? untilMs, untilMs].map((ms) => this.x(ms));
    if (x1 === undefined || xp === undefined || x2 === undefined) return;
    const box = { y: y + 3, height: LANE_HEIGHT - 6 };
    const look = group === undefined || bar.endAtMs === undefined ? "proving" : lookOf(group);
    const isOther = bar.state !== "proving";
    const name = isOther ? `state ${bar.state}` : "verifying";
    const parts: Element[] = [
      svg("rect", { class: `bar ${name}`, x: x1, width: Math.max(1.5, xp - x1), ...box }),
    ];
    if (bar.proofAtMs !== undefined) {
      const width = Math.max(1.5, x2 - xp);
      const merge = kind === "merge" ? " merge" : "";
      parts.push(svg("rect", { class: `bar ${look}${merge}`, x: xp, width, ...box }));
    }
    const text = isOther ? bar.state : laneLabel(bar, kind);
    if (x2 - xp > 7 * text.length + 10 || (isOther && x2 - x1 > 60)) {
      const x = (isOther ? x1 : xp) + 6;
      parts.push(svg("text", { class: "label", x, y: y + 16 }, text));
    }
    this.add(bar.key, row, parts, { y: box.y, height: box.height, x: x1, endX: x2 });
  }

  private add(
    key: string,
    row: number,
    parts: Element[],
    box: { x: number; endX: number; y: number; height: number },
  ): void {
    if (parts.length === 0) return;
    const { x, endX, y, height } = box;
    const related = this.related.has(key) ? "frame related" : "frame";
    // A frame that the pointer hits beside thin parts too.
    const frame = { x: x - 2, y: y - 1, width: Math.max(6, endX - x + 4), height: height + 2 };
    const hit = svg("rect", {
      class: key === this.selected ? "frame selected" : related,
      ...frame,
    });
    this.content.push(svg("g", { "data-key": key, class: "item" }, ...parts, hit));
    this.drawn.push({ key, row, x, y: y + height });
  }
}

/** Each lane with its proof system, which is empty unless there are several; in the order of drawing. */
function laneNames({ devices, lanes }: ActivityModel): { device: string; system: string }[] {
  const isOne = systemsOf(devices).length < 2;
  const ids = new Set([...devices.map(({ id }) => id), ...lanes.keys()]);
  const named = [...ids].sort().map((device) => {
    const known = isOne ? undefined : devices.find(({ id }) => id === device);
    return { device, system: known === undefined ? "" : systemOf(known) };
  });
  return named.sort((a, b) => (a.system < b.system ? -1 : a.system > b.system ? 1 : 0));
}

function groupLabel(group: Group, model: ActivityModel, room: number): string {
  const { votes, messages } = group.size;
  if (room <= 90) return String(votes);
  const jobs = model.newestAttempt(group)?.jobs.length ?? 0;
  if (messages > 0 && room > 150) return `${votes} votes, merge of ${messages}`;
  return jobs > 0 && room > 150 ? `${votes} votes, tree of ${jobs}` : `${votes} votes`;
}

function laneLabel({ proof }: LaneBar, kind: string): string {
  if (proof === undefined) return "";
  return kind === "leaf" || kind === "fold" ? `${kind}, ${sizeText(proof)}` : sizeText(proof);
}

/** How a group ended, also for who does not see the colour. */
function endMark(look: string, x: number, y: number, radius: number): Element {
  const shape = { class: `mark ${look}` };
  if (look === "proved" || look === "part")
    return svg("circle", { ...shape, cx: x, cy: y, r: radius });
  if (look === "late") {
    const points = [
      [x, y - radius],
      [x + radius, y + radius],
      [x - radius, y + radius],
    ];
    return svg("polygon", { ...shape, points: points.map((point) => point.join(",")).join(" ") });
  }
  const [a, b] = [radius * 0.8, radius * 0.8];
  const cross = `M${x - a},${y - b}L${x + a},${y + b}M${x - a},${y + b}L${x + a},${y - b}`;
  return svg("path", { ...shape, d: cross });
}

function patterns(): Element {
  const stripes = svg(
    "pattern",
    { id: "stripes", width: 5, height: 5, patternUnits: "userSpaceOnUse" },
    svg("path", { class: "stripe", d: "M-1,1l2,-2M0,5l5,-5M4,6l2,-2" }),
  );
  return svg("defs", {}, stripes);
}

function clockText(unixMs: number, hasTenths: boolean): string {
  const time = new Date(unixMs).toTimeString().slice(0, 8);
  return hasTenths ? `${time}.${Math.floor((unixMs % 1000) / 100)}` : time;
}

const cutText = (text: string, max: number) =>
  text.length <= max ? text : `${text.slice(0, max - 1)}…`;
