/** What `admin top` shows, as lines of characters that fit a width. Pure. */
import type { ActivityModel, LaneBar } from "../../page/model/activity-model.js";
import type { Group } from "../../page/model/group.js";
import type { Device } from "../../page/model/answer.js";
import {
  acceptedIn,
  busyShare,
  bySlot,
  bytesText,
  jobKind,
  lookOf,
  lostByReason,
  msText,
  percentText,
  provedOf,
  sizeText,
  skipsByReason,
  sumVotes,
  systemOf,
  systemsOf,
  words,
} from "../../page/model/figures.js";
import type { Look } from "../../page/model/figures.js";
import type { Column } from "../io/table.js";
import { formatTable } from "../io/table.js";

/** The time over which figures are taken, in milliseconds. */
const LAST_MS = 60_000;
const SLOTS_SHOWN = 12;

/** One character for each look of a group; the last line explains them. */
const marks: Readonly<Record<Look, string>> = {
  waiting: ".",
  verifying: "v",
  proving: ">",
  proved: "#",
  part: "%",
  late: "L",
  stopped: "x",
  not_started: "-",
  failed: "!",
  nothing: "0",
};
const LEGEND =
  ". waiting  v verifying  > proving  # proved  % in part  L late\n" +
  "x killed  - not started  ! failed  0 nothing to prove";

/** @param columns width of the screen, at least 40 */
export function topLines(model: ActivityModel, nowMs: number, columns: number): string[] {
  const blocks = [
    headOf(model, nowMs),
    devicesOf(model, nowMs, columns),
    slotsOf(model),
    nodesOf(model, nowMs),
    lossesOf(model, nowMs),
    LEGEND,
  ];
  const lines = blocks
    .filter((block) => block !== "")
    .join("\n\n")
    .split("\n");
  return lines.map((line) => printable(line).trimEnd().slice(0, columns));
}

/** Texts of provers and nodes must not move the cursor. */
const printable = (text: string) => text.replace(/[^\x20-\x7e\u00a0-\uffff]/g, "?");

function headOf(model: ActivityModel, nowMs: number): string {
  const { last, missed } = model;
  if (last === undefined) return "connecting";
  const sums = sumVotes(acceptedIn(model, nowMs - LAST_MS, nowMs));
  const of = (votes: number) => (sums.total > 0 ? ` (${percentText(votes / sums.total)})` : "");
  const detail = last.detail === "" ? "" : `: ${last.detail}`;
  const gaps = missed > 0 ? `, ${missed} activities missed` : "";
  return [
    `${last.service}  ${words(last.state)}${detail}${gaps}`,
    `votes of the last minute: ${sums.total} in, ${sums.proved} proved${of(sums.proved)}, ` +
      `${sums.late} late, ${sums.lost} in no proof`,
    `groups waiting: ${last.groupsWaiting}`,
  ].join("\n");
}

function devicesOf(model: ActivityModel, nowMs: number, width: number): string {
  if (model.devices.length === 0) return "";
  const barsOf = ({ id }: Device) => model.lanes.get(id) ?? [];
  const columns: Column<Device>[] = [
    { title: "device", cell: ({ id }) => id },
    { title: "cores", cell: ({ cores }) => cores || "-" },
    ...(systemsOf(model.devices).length > 1 ? [{ title: "system", cell: systemOf }] : []),
    { title: "state", cell: ({ state, isDrained }) => (isDrained ? `${state}, drained` : state) },
    { title: "memory", align: "right", cell: memoryOf },
    {
      title: "busy",
      align: "right",
      cell: (device) => percentText(busyShare(barsOf(device), nowMs - LAST_MS, nowMs)),
    },
    { title: "last 30 s", cell: (device) => laneOf(barsOf(device), nowMs, width >= 100 ? 30 : 20) },
    { title: "proof", cell: (device) => proofOf(device, barsOf(device).at(-1), model) },
  ];
  return formatTable(columns, model.devices).trimEnd();
}

const memoryOf = ({ provers }: Device) =>
  bytesText(provers.reduce((sum, { residentBytes }) => sum + residentBytes, 0)).replace("–", "-");

/** A character for each stretch of time: the share in which the lane worked. */
function laneOf(bars: readonly LaneBar[], nowMs: number, length: number): string {
  const stepMs = 30_000 / length;
  const levels = " .:=#";
  return Array.from({ length }, (_, at) => {
    const fromMs = nowMs - (length - at) * stepMs;
    const share = busyShare(bars, fromMs, fromMs + stepMs);
    return levels[Math.ceil(share * (levels.length - 1))] ?? " ";
  }).join("");
}

function proofOf(
  { running, cause }: Device,
  bar: LaneBar | undefined,
  model: ActivityModel,
): string {
  if (running === undefined || bar?.proof === undefined) return cause;
  const kind = jobKind(bar, model);
  const job = kind === "leaf" || kind === "fold" ? `${kind} of ` : "";
  const time = `${msText(running.runningMs)} of ${msText(running.predictedMs)}`;
  return `${time}, ${job}${sizeText(bar.proof)}`;
}

function slotsOf(model: ActivityModel): string {
  const slots = bySlot(model.groups.values()).slice(0, SLOTS_SHOWN);
  if (slots.length === 0) {
    return "no snapshot yet: run 'lean-aggregator example | lean-aggregator submit -'";
  }
  const columns: Column<[string, Group[]]>[] = [
    { title: "slot", align: "right", cell: ([slot]) => slot },
    { title: "votes", align: "right", cell: ([, groups]) => `${sumVotes(groups).total}` },
    {
      title: "proved",
      align: "right",
      cell: ([, groups]) => {
        const { proved, late } = sumVotes(groups);
        return `${proved + late}`;
      },
    },
    { title: "late", align: "right", cell: ([, groups]) => `${sumVotes(groups).late}` },
    { title: "slowest", align: "right", cell: ([, groups]) => slowestOf(groups) },
    { title: "groups", cell: ([, groups]) => groups.map((each) => marks[lookOf(each)]).join("") },
  ];
  return formatTable(columns, slots).trimEnd();
}

/** The longest time from receipt to a proof. */
function slowestOf(groups: readonly Group[]): string {
  const times = groups.flatMap(({ end, session }) =>
    end !== undefined && provedOf(end.votes) > 0 ? [end.atMs - session.receivedAtMs] : [],
  );
  return times.length === 0 ? "-" : msText(Math.max(...times));
}

function nodesOf(model: ActivityModel, nowMs: number): string {
  const groups = acceptedIn(model, nowMs - LAST_MS, nowMs);
  const all = model.nodes.reduce((sum, { usedMs }) => sum + usedMs, 0);
  const rows = model.nodes.map(({ id, usedMs, sessions }) => {
    const sums = sumVotes(groups.filter(({ session }) => session.node === id));
    const share = all > 0 ? usedMs / all : 0;
    return { id, sessions, sums, share };
  });
  if (rows.length === 0) return "";
  const columns: Column<(typeof rows)[number]>[] = [
    { title: "node", cell: ({ id }) => id },
    { title: "share", align: "right", cell: ({ share }) => percentText(share) },
    { title: "", cell: ({ share }) => "=".repeat(Math.round(share * 20)) },
    { title: "in flight", align: "right", cell: ({ sessions }) => `${sessions}` },
    { title: "votes", align: "right", cell: ({ sums }) => `${sums.total}` },
    { title: "proved", align: "right", cell: ({ sums }) => `${sums.proved + sums.late}` },
  ];
  return formatTable(columns, rows).trimEnd();
}

function lossesOf(model: ActivityModel, nowMs: number): string {
  const fromMs = nowMs - LAST_MS;
  const skips = skipsByReason(model.skips.filter(({ atMs }) => atMs >= fromMs));
  const lost = lostByReason(acceptedIn(model, fromMs, nowMs));
  const texts = [
    ...skips.map(([reason, of]) => `${of.length} skipped: ${words(reason)}`),
    ...lost.map(([reason, votes]) => `${votes} votes ${reason}`),
  ];
  return texts.length === 0 ? "" : `last minute: ${texts.join("; ")}`;
}
