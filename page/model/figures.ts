/** Figures and names that are derived from the model, for the page and `admin top` alike. Pure. */
import type { ActivityModel, LaneBar, Skip } from "./activity-model.js";
import type { Group } from "./group.js";
import type { Device, Size, VoteFates } from "./answer.js";

/** The shortest time over which figures are taken, in milliseconds. */
export const FIGURES_MS = 60_000;

/** What a group looks like at an instant. */
export const looks = [
  "waiting",
  "verifying",
  "proving",
  "proved",
  "part",
  "late",
  "stopped",
  "not_started",
  "failed",
  "nothing",
] as const;
export type Look = (typeof looks)[number];

/** How a legend names each. */
export const lookNames: Readonly<Record<Look, string>> = {
  waiting: "waiting",
  verifying: "verifying inputs",
  proving: "proving",
  proved: "proved",
  part: "proved in part, the rest shed",
  late: "proved late",
  stopped: "killed: fence, cancel or preemption",
  not_started: "not started",
  failed: "failed",
  nothing: "nothing to prove, or rejected",
};

export function lookOf(group: Group): Look {
  const { end, provingAtMs, startedAtMs } = group;
  if (end !== undefined) return endedLook(end.status, shedOf(end.votes));
  if (provingAtMs !== undefined) return "proving";
  return startedAtMs === undefined ? "waiting" : "verifying";
}

function endedLook(status: string, shed: number): Look {
  switch (status) {
    case "proved":
      return shed > 0 ? "part" : "proved";
    case "proved_late":
      return "late";
    case "stopped":
    case "not_started":
    case "failed":
      return status;
    default:
      return "nothing";
  }
}

export const provedOf = ({ proved }: VoteFates) => proved.reduce((sum, each) => sum + each, 0);
const shedOf = ({ others }: VoteFates) => others["shed"] ?? 0;

/** Votes that came and what became of them. */
export interface VoteSums {
  total: number;
  proved: number;
  late: number;
  /** Of groups that have ended, in no proof. */
  lost: number;
  /** Of groups that have not ended. */
  open: number;
}

export function sumVotes(groups: Iterable<Group>): VoteSums {
  const sums = { total: 0, proved: 0, late: 0, lost: 0, open: 0 };
  for (const { size, end } of groups) {
    sums.total += size.votes;
    const proved = end === undefined ? 0 : provedOf(end.votes);
    if (end === undefined) sums.open += size.votes;
    else if (end.status === "proved_late") sums.late += proved;
    else sums.proved += proved;
    if (end !== undefined) sums.lost += Math.max(0, size.votes - proved);
  }
  return sums;
}

/** The groups that were accepted in this time. */
export function acceptedIn(model: ActivityModel, fromMs: number, toMs: number): Group[] {
  return [...model.groups.values()].filter(
    ({ session: { receivedAtMs } }) => receivedAtMs >= fromMs && receivedAtMs < toMs,
  );
}

/** The time over which figures are taken: what is shown of the past, and at least a minute. */
export function figuresTime(span: { fromMs: number; toMs: number; nowMs: number }): {
  fromMs: number;
  toMs: number;
} {
  const toMs = Math.min(span.toMs, span.nowMs);
  return { fromMs: Math.min(span.fromMs, toMs - FIGURES_MS), toMs };
}

/** The items by key, in their order. */
export function groupedBy<T>(items: Iterable<T>, keyOf: (item: T) => string): Map<string, T[]> {
  const grouped = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const of = grouped.get(key);
    if (of === undefined) grouped.set(key, [item]);
    else of.push(item);
  }
  return grouped;
}

/** The groups by slot, the newest slot first; of a slot in the order of acceptance. */
export function bySlot(groups: Iterable<Group>): [slot: string, groups: Group[]][] {
  const slots = groupedBy(groups, ({ session }) => session.slot);
  return [...slots].sort(([a], [b]) => (BigInt(a) < BigInt(b) ? 1 : -1));
}

/** Share of this time in which the lane worked on attempts: 0 to 1. */
export function busyShare(bars: readonly LaneBar[], fromMs: number, toMs: number): number {
  let busyMs = 0;
  for (const { state, startAtMs, endAtMs = toMs } of bars) {
    if (state !== "proving") continue;
    busyMs += Math.max(0, Math.min(endAtMs, toMs) - Math.max(startAtMs, fromMs));
  }
  return toMs > fromMs ? Math.min(1, busyMs / (toMs - fromMs)) : 0;
}

/** Mean of `busyShare` over the devices, and those gone that worked in this time; undefined without any. */
export function busyMean(
  { devices, lanes }: ActivityModel,
  fromMs: number,
  toMs: number,
): number | undefined {
  const shares = new Map(devices.map(({ id }) => [id, 0]));
  for (const [id, bars] of lanes) {
    const share = busyShare(bars, fromMs, toMs);
    if (share > 0) shares.set(id, share);
  }
  const sum = [...shares.values()].reduce((total, share) => total + share, 0);
  return shares.size === 0 ? undefined : sum / shares.size;
}

/** The proof system of the device, such as `leanxmss 0.7.0`; empty until its first prover is up. */
export const systemOf = ({ scheme, revision }: Device): string =>
  `${scheme} ${revision.slice(0, 12)}`.trim();

/** The proof systems of the devices, by name. One alone needs no mention. */
export const systemsOf = (devices: readonly Device[]): string[] =>
  [...new Set(devices.map(systemOf))].filter((name) => name !== "").sort();

/** What the lane makes: a merge, and of a tree a leaf or a fold; empty for a proof without jobs. */
export function jobKind(bar: LaneBar, model: ActivityModel): "merge" | "leaf" | "fold" | "" {
  if ((bar.proof?.messages ?? 0) > 0) return "merge";
  const isOfTree = (model.attemptOf(bar)?.jobs.length ?? 0) > 0;
  if (!isOfTree || bar.proof === undefined) return "";
  return bar.proof.children > 0 ? "fold" : "leaf";
}

/**
 * How long the lane's proof took, in milliseconds, without the verification of inputs and proof. Undefined
 * when no proof came of it, and for a job of a tree, whose outcome has the time of the whole tree.
 */
export function proofMsOf(bar: LaneBar, model: ActivityModel): number | undefined {
  const attempt = model.attemptOf(bar);
  if (attempt === undefined || attempt.jobs.length > 0) return undefined;
  for (const { attempts, end } of attempt.groups) {
    if (end === undefined || attempts.at(-1) !== attempt.number) continue;
    const isProved = end.status === "proved" || end.status === "proved_late";
    if (isProved && end.proveMs > 0) return end.proveMs;
  }
  return undefined;
}

/** Number of skips by reason, most first. */
export function skipsByReason(skips: readonly Skip[]): [reason: string, skips: Skip[]][] {
  const reasons = groupedBy(skips, ({ reason }) => reason);
  return [...reasons].sort(([, a], [, b]) => b.length - a.length);
}

/** Why votes are in no proof, with their number, most first. */
export function lostByReason(groups: Iterable<Group>): [reason: string, votes: number][] {
  const reasons = new Map<string, number>();
  for (const { end } of groups) {
    if (end === undefined) continue;
    for (const [fate, votes] of Object.entries(end.votes.others)) {
      const isWhole = ["notStarted", "stopped", "failed"].includes(fate);
      const name = words(fate) + (isWhole && end.reason !== "" ? `: ${words(end.reason)}` : "");
      if (votes > 0) reasons.set(name, (reasons.get(name) ?? 0) + votes);
    }
  }
  return [...reasons].sort(([, a], [, b]) => b - a);
}

/** `badSignature` and `bad_signature` as `bad signature`. */
export const words = (name: string) =>
  name
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .replaceAll("_", " ")
    .toLowerCase();

export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

export function sizeText({ raws, children, messages }: Size): string {
  if (messages > 0) return `merge of ${count(messages, "message")}`;
  const parts = [
    ...(raws > 0 ? [count(raws, "raw signature")] : []),
    ...(children > 0 ? [`${children} ${children === 1 ? "child" : "children"}`] : []),
  ];
  return parts.length === 0 ? "no inputs" : parts.join(" and ");
}

export function msText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 60_000 ? `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s` : minutesText(ms);
}

function minutesText(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const rest = seconds % 60 === 0 ? "" : ` ${seconds % 60} s`;
  return `${Math.floor(seconds / 60)} min${rest}`;
}

export function bytesText(bytes: number): string {
  if (bytes === 0) return "–";
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

export const percentText = (share: number) => `${Math.round(100 * share)} %`;
