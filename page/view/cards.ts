/** Draws what stands around the timeline: figures of the last minute, devices, nodes, skips. */
import type { ActivityModel } from "../model/activity-model.js";
import type { Device } from "../model/answer.js";
import {
  acceptedIn,
  busyMean,
  busyShare,
  bytesText,
  count,
  FIGURES_MS,
  figuresTime,
  groupedBy,
  lookNames,
  looks,
  lostByReason,
  msText,
  percentText,
  skipsByReason,
  sumVotes,
  systemOf,
  words,
} from "../model/figures.js";
import type { Span } from "./timeline.js";
import { html, svg } from "./dom.js";

/** Of the nodes those are shown that used most. */
const ROWS_MAX = 64;

export function drawFigures(element: HTMLElement, model: ActivityModel, span: Span): void {
  const { fromMs, toMs } = figuresTime(span);
  const { total, proved, late, lost, open } = sumVotes(acceptedIn(model, fromMs, toMs));
  const of = (votes: number) => (total === 0 ? "" : percentText(votes / total));
  const busy = busyMean(model, fromMs, toMs);
  const waiting = model.last?.groupsWaiting ?? 0;
  const figures: [name: string, value: string | number, note: string, look: string][] = [
    ["votes in", total, lastText(toMs - fromMs), ""],
    ["proved in time", proved, of(proved), "proved"],
    ["proved late", late, of(late), late > 0 ? "late" : ""],
    ["in no proof", lost, of(lost), lost > 0 ? "lost" : ""],
    ["under way", open, open > 0 ? of(open) : "", ""],
    ["groups waiting", waiting, "now", ""],
    ["devices busy", busy === undefined ? "–" : percentText(busy), "", ""],
  ];
  element.replaceChildren(
    ...figures.map(([name, value, note, look]) => {
      const text = note === "" ? name : `${name} · ${note}`;
      return html(
        "div",
        { class: `figure ${look}` },
        html("b", {}, String(value)),
        html("span", { class: "quiet" }, text),
      );
    }),
  );
}

const lastText = (ms: number) =>
  Math.round(ms) === FIGURES_MS ? "last minute" : `last ${msText(ms)}`;

export function legendItems(): Element[] {
  const shown = looks.map((look) =>
    item(lookNames[look], svg("rect", { class: `bar ${look}`, ...BOX })),
  );
  const merge = svg("rect", { class: "bar proving merge", ...BOX });
  const line = (name: string) => svg("line", { class: name, x1: 9, x2: 9, y1: 0, y2: 11 });
  return [
    ...shown,
    item("merge", merge),
    item("deadline", line("deadline")),
    item("fence", line("fence")),
  ];
}

const BOX = { x: 0.5, y: 0.5, width: 17, height: 10 };

export function item(name: string, symbol: Element): Element {
  return html("li", {}, svg("svg", { viewBox: "0 0 18 11", "aria-hidden": "true" }, symbol), name);
}

/** A table with its head; `numbers` says which columns are numbers. */
function table(
  titles: readonly string[],
  rows: readonly (readonly (Node | string)[])[],
  numbers: readonly number[] = [],
): Element {
  const classOf = (at: number) => ({ class: numbers.includes(at) ? "number" : undefined });
  const head = titles.map((title, at) => html("th", { scope: "col", ...classOf(at) }, title));
  const body = rows.map((cells) =>
    html("tr", {}, ...cells.map((cell, at) => html("td", classOf(at), cell))),
  );
  return html("table", {}, html("thead", {}, html("tr", {}, ...head)), html("tbody", {}, ...body));
}

/** From cool to hot: a lane that is busy nearly always has no room for what comes. */
function heat(share: number): Element {
  const meter = html("meter", { min: 0, max: 1, low: 0.7, high: 0.92, optimum: 0.2 });
  meter.value = share;
  meter.textContent = percentText(share);
  return html("span", {}, meter, ` ${percentText(share)}`);
}

/** What stands below a table that would have more than `ROWS_MAX` rows. */
const moreOf = (rows: number, noun: string): Element[] =>
  rows <= ROWS_MAX ? [] : [quiet(`and ${count(rows - ROWS_MAX, `more ${noun}`)}`)];

const quiet = (text: string) => html("span", { class: "quiet" }, text);

export function drawDevices(element: HTMLElement, model: ActivityModel, { nowMs }: Span): void {
  if (model.devices.length === 0) {
    const text = "No device: see 'lean-aggregator info', and the service's log.";
    return element.replaceChildren(quiet(text));
  }
  const rows = model.devices.slice(0, ROWS_MAX).map((device) => {
    const bars = model.lanes.get(device.id) ?? [];
    return [
      html("span", {}, html("b", {}, device.id), html("br"), quiet(systemText(device))),
      html("span", {}, stateText(device), ...causeOf(device)),
      progressOf(device),
      bytesText(device.provers.reduce((sum, { residentBytes }) => sum + residentBytes, 0)),
      heat(busyShare(bars, nowMs - FIGURES_MS, nowMs)),
    ];
  });
  const titles = ["device", "state", "running proof", "memory", "busy, last minute"];
  element.replaceChildren(table(titles, rows, [3]), ...moreOf(model.devices.length, "device"));
}

function systemText(device: Device): string {
  const { cores, provers } = device;
  const system = systemOf(device);
  const standby = provers.some(({ role, isReady }) => role === "standby" && isReady);
  return [
    ...(cores === "" ? [] : [`cores ${cores}`]),
    ...(system === "" ? [] : [system]),
    standby ? "standby up" : "no standby",
  ].join(" · ");
}

const stateText = ({ state, isDrained }: Device) =>
  isDrained ? `${state}, drained` : words(state);

const causeOf = ({ cause }: Device): Element[] =>
  cause === "" ? [] : [html("br"), html("span", { class: "cause" }, cause)];

function progressOf({ running }: Device): Element {
  if (running === undefined) return quiet("–");
  const { runningMs, predictedMs } = running;
  return quiet(`${msText(runningMs)} of about ${msText(predictedMs)}`);
}

export function drawNodes(element: HTMLElement, model: ActivityModel, span: Span): void {
  const { nodes } = model;
  const { fromMs, toMs } = figuresTime(span);
  const groups = acceptedIn(model, fromMs, toMs);
  const names = new Set([
    ...nodes.map(({ id }) => id),
    ...groups.map(({ session }) => session.node),
  ]);
  if (names.size === 0) return element.replaceChildren(quiet("No node has called yet."));
  const all = nodes.reduce((sum, { usedMs }) => sum + usedMs, 0);
  const used = new Map(nodes.map((node) => [node.id, node]));
  const groupsOf = groupedBy(groups, ({ session }) => session.node);
  const byUse = (a: string, b: string) => (used.get(b)?.usedMs ?? 0) - (used.get(a)?.usedMs ?? 0);
  const shown = [...names].sort(byUse).slice(0, ROWS_MAX).sort();
  const rows = shown.map((name) => {
    const node = used.get(name);
    const sums = sumVotes(groupsOf.get(name) ?? []);
    const share = all > 0 ? (node?.usedMs ?? 0) / all : 0;
    const meter = html("meter", { min: 0, max: 1 });
    meter.value = share;
    const isKnown = nodes.length > 0;
    return [
      html("b", {}, name),
      isKnown ? html("span", {}, meter, ` ${percentText(share)}`) : quiet("–"),
      String(node?.sessions ?? 0),
      String(sums.total),
      sums.total === 0 ? "–" : percentText((sums.proved + sums.late) / sums.total),
    ];
  });
  const titles = ["node", "share of prover time", "in flight", "votes", "proved"];
  element.replaceChildren(table(titles, rows, [2, 3, 4]), ...moreOf(names.size, "node"));
}

export function drawLosses(element: HTMLElement, model: ActivityModel, span: Span): void {
  const { fromMs, toMs } = figuresTime(span);
  const skips = model.skips.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
  const lost = lostByReason(acceptedIn(model, fromMs, toMs));
  const rows = [
    ...skipsByReason(skips).map(([reason, of]) => [
      `skipped: ${words(reason)}`,
      `${of.length} ${of.length === 1 ? "snapshot" : "snapshots"}`,
      quiet(of.at(-1)?.detail ?? ""),
    ]),
    ...lost.map(([reason, votes]) => [reason, `${votes} ${votes === 1 ? "vote" : "votes"}`, ""]),
  ];
  if (rows.length === 0) {
    return element.replaceChildren(quiet("Nothing was skipped, and every vote is in a proof."));
  }
  element.replaceChildren(table(["reason", "number", "newest"], rows, [1]));
}
