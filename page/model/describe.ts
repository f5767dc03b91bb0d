/** What a bar of the timeline is, line by line, for a person who points at it or selects it. Pure. */
import type { ActivityModel, LaneBar } from "./activity-model.js";
import type { Group } from "./group.js";
import type { Device } from "./answer.js";
import {
  count,
  jobKind,
  lookNames,
  lookOf,
  msText,
  provedOf,
  sizeText,
  systemsOf,
  words,
} from "./figures.js";

/** Groups that one attempt is described with: more are counted. */
const GROUPS_SHOWN = 4;

/** `cpu`, or `cpu (cores 0-3)`. */
export function deviceText(id: string, devices: readonly Device[]): string {
  const cores = devices.find((device) => device.id === id)?.cores ?? "";
  return cores === "" ? id : `${id} (cores ${cores})`;
}

/** The first line is the title. */
export function describeGroup(group: Group, model: ActivityModel, nowMs: number): string[] {
  const { session, index, size, end, attempts } = group;
  const { receivedAtMs, deadlineAtMs, fenceAtMs, node, slot, priority, request } = session;
  const look = lookOf(group);
  const reason = end === undefined || end.reason === "" ? "" : ` (${words(end.reason)})`;
  const proved = end === undefined ? [] : [votesText(group)];
  return [
    `slot ${slot}, ${node}, group ${index}: ${lookNames[look]}${reason}`,
    `${count(size.votes, "vote")}: ${sizeText(size)}`,
    ...proved,
    timesText(group, nowMs),
    ...attemptLines(group, model),
    ...(attempts.length > 1 ? [`${attempts.length} attempts`] : []),
    `deadline after ${msText(deadlineAtMs - receivedAtMs)}, fence after ` +
      msText(fenceAtMs - receivedAtMs),
    `request ${request}, ${priority}`,
  ];
}

/** Where the newest attempt is made, of how many jobs, and in which proof system where several are. */
function attemptLines(group: Group, model: ActivityModel): string[] {
  const attempt = model.newestAttempt(group);
  if (attempt === undefined) return [];
  const { devices } = model;
  const ids = [...attempt.devices];
  const tree =
    attempt.jobs.length > 0 ? `a tree, ${count(attempt.jobs.length, "job")} so far, ` : "";
  const shared = attempt.groups.size > 1 ? `, for ${attempt.groups.size} groups` : "";
  const where = `${tree}on ${ids.map((id) => deviceText(id, devices)).join(", ")}${shared}`;
  return [where, ...systemLines(ids, devices)];
}

function systemLines(ids: readonly string[], devices: readonly Device[]): string[] {
  if (systemsOf(devices).length < 2) return [];
  return systemsOf(devices.filter(({ id }) => ids.includes(id))).map(
    (name) => `proof system ${name}`,
  );
}

function votesText({ size, end }: Group): string {
  if (end === undefined) return "";
  const others = Object.entries(end.votes.others).filter(([, votes]) => votes > 0);
  const left = others.map(([fate, votes]) => `, ${votes} ${words(fate)}`).join("");
  return `${provedOf(end.votes)} of ${count(size.votes, "vote")} proved${left}`;
}

function timesText({ session, startedAtMs, provingAtMs, end }: Group, nowMs: number): string {
  const until = end?.atMs ?? nowMs;
  const waited = `waited ${msText((startedAtMs ?? until) - session.receivedAtMs)}`;
  if (startedAtMs === undefined) return waited;
  const verified = `, verified ${msText((provingAtMs ?? until) - startedAtMs)}`;
  if (provingAtMs === undefined) return waited + verified;
  return `${waited}${verified}, proved ${msText(until - provingAtMs)}`;
}

export function describeLane(bar: LaneBar, model: ActivityModel, nowMs: number): string[] {
  const { device, state, job, proof, startAtMs, proofAtMs, endAtMs, cause } = bar;
  const groups = model.groupsOf(bar);
  const kind = jobKind(bar, model);
  const title = `${deviceText(device, model.devices)}: ${state}`;
  const until = endAtMs ?? nowMs;
  if (state !== "proving") return [`${title} for ${msText(until - startAtMs)}`, ...lines(cause)];
  const whose = job === 0 ? "an attempt of another service" : `attempt ${job}`;
  const inTree = kind === "leaf" || kind === "fold" ? [treeText(bar, kind, model)] : [];
  const shown = groups.slice(0, GROUPS_SHOWN);
  const more = groups.length - shown.length;
  return [
    `${title} ${proof === undefined ? "(verifying inputs)" : sizeText(proof)}`,
    ...inTree,
    ...(groups.length === 0 ? [whose] : []),
    ...shown.map(
      (group) =>
        `slot ${group.session.slot}, ${group.session.node}, group ${group.index}` +
        (group.end === undefined ? "" : `: ${lookNames[lookOf(group)]}`),
    ),
    ...(more > 0 ? [`and ${count(more, "more group")}`] : []),
    proofAtMs === undefined
      ? `verified for ${msText(until - startAtMs)}`
      : `verified ${msText(proofAtMs - startAtMs)}, proved ${msText(until - proofAtMs)}`,
    ...systemLines([device], model.devices),
  ];
}

function treeText(bar: LaneBar, kind: string, model: ActivityModel): string {
  const jobs = model.attemptOf(bar)?.jobs ?? [];
  return `${kind} of a tree: job ${jobs.indexOf(bar.job) + 1} of ${jobs.length} so far`;
}

const lines = (text: string) => (text === "" ? [] : [text]);
