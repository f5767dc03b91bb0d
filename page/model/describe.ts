/** What a bar of the timeline is, line by line, for a person who points at it or selects it. Pure. */
import type { ActivityModel, Group, LaneBar } from "./activity-model.js";
import type { Device } from "./answer.js";
import { count, lookNames, lookOf, msText, provedOf, sizeText, words } from "./figures.js";

/** `cpu`, or `cpu (cores 0-3)`. */
export function deviceText(id: string, devices: readonly Device[]): string {
  const cores = devices.find((device) => device.id === id)?.cores ?? "";
  return cores === "" ? id : `${id} (cores ${cores})`;
}

/** The first line is the title. */
export function describeGroup(group: Group, { devices }: ActivityModel, nowMs: number): string[] {
  const { session, index, size, end, device, attempts } = group;
  const { receivedAtMs, deadlineAtMs, fenceAtMs, node, slot, priority, request } = session;
  const look = lookOf(group);
  const reason = end === undefined || end.reason === "" ? "" : ` (${words(end.reason)})`;
  const proved = end === undefined ? [] : [votesText(group)];
  return [
    `slot ${slot}, ${node}, group ${index}: ${lookNames[look]}${reason}`,
    `${count(size.votes, "vote")}: ${sizeText(size)}`,
    ...proved,
    timesText(group, nowMs) + (device === "" ? "" : ` on ${deviceText(device, devices)}`),
    ...(attempts > 1 ? [`${attempts} attempts`] : []),
    `deadline after ${msText(deadlineAtMs - receivedAtMs)}, fence after ` +
      msText(fenceAtMs - receivedAtMs),
    `request ${request}, ${priority}`,
  ];
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
  const { device, state, attempt, proof, startAtMs, proofAtMs, endAtMs, cause } = bar;
  const group = state === "proving" ? model.groupOf(bar) : undefined;
  const title = `${deviceText(device, model.devices)}: ${state}`;
  const until = endAtMs ?? nowMs;
  if (state !== "proving") return [`${title} for ${msText(until - startAtMs)}`, ...lines(cause)];
  const whose = attempt === 0 ? "an attempt of another service" : `attempt ${attempt}`;
  return [
    `${title} ${proof === undefined ? "(verifying inputs)" : sizeText(proof)}`,
    group === undefined
      ? whose
      : `slot ${group.session.slot}, ${group.session.node}, group ${group.index}`,
    proofAtMs === undefined
      ? `verified for ${msText(until - startAtMs)}`
      : `verified ${msText(proofAtMs - startAtMs)}, proved ${msText(until - proofAtMs)}`,
    ...(group?.end === undefined ? [] : [lookNames[lookOf(group)]]),
  ];
}

const lines = (text: string) => (text === "" ? [] : [text]);
