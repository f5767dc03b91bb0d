/**
 * What a door knows of one lane host's life: whether it has joined, and when it is gone because it
 * has ended, vanished, restarted or fallen silent. Pure: `(host, event, now) → (host, effects)`; the
 * shell is `remote-lanes.ts`. A host is judged only while the door itself could have heard it.
 */
import { assertNever } from "../../errors.js";

/** A host that was not heard for so long is pinged: two beats are missing. */
const PING_AFTER_MS = 200;
/** Time between two pings. Two answers that nobody listens, so far apart, mean that it vanished. */
const PING_EVERY_MS = 100;
/** A host that was not heard for so long is silent: frozen, or cut off. */
const SILENT_AFTER_MS = 1000;
/**
 * Messages of a run that has ended are ignored for so long, because they may have been delayed.
 * After that such a run counts as a new one, in case the host was taken for ended wrongly.
 */
const ENDED_RUN_MS = 10_000;
/**
 * Most ended runs of a host that are remembered. While so many have just ended, no other run of it is
 * heard: two hosts of one name, or one that lies, would cost all others their time.
 */
const ENDED_RUNS_MAX = 4;

/**
 * A run that another one has replaced, and that is heard so long after, has not ended: two hosts use
 * one id. What comes sooner may have been delayed.
 */
const TWIN_AFTER_MS = 1000;
/** How often that is reported. */
const TWIN_EVERY_MS = 10_000;

/**
 * Why a host is gone. `ended`: it said so. `vanished`: nobody listens for it. `silent`: it was not
 * heard for a second. `restarted`: another run of it is heard.
 */
export const goneCauses = ["ended", "vanished", "silent", "restarted"] as const;
export type GoneCause = (typeof goneCauses)[number];

export const goneTexts: Readonly<Record<GoneCause, string>> = {
  ended: "has ended",
  vanished: "has vanished: nobody listens for it",
  silent: "is silent: it was not heard for a second",
  restarted: "has restarted",
};

export function twinText(id: string, run: string, twin: string): string {
  return `two hosts use the id ${id}, in the runs ${run} and ${twin}: give each its own --host-id`;
}

export interface JoinedHost {
  readonly kind: "joined";
  readonly run: string;
  readonly heardAtMs: number;
  /** The instant from which its silence counts: the latest of `heardAtMs` and when judging began. */
  readonly silentSinceMs: number;
  /** When it is pinged next, unless it is heard before. */
  readonly pingAtMs: number;
  /** When it was first told, since the host was heard, that nobody listens; null: not told. */
  readonly nobodyAtMs: number | null;
}

/** A run that has ended lately. */
interface EndedRun {
  readonly run: string;
  /** When it ended, or was heard beside the run that replaced it. */
  readonly atMs: number;
  /** When another run replaced it; null: it said that it ends. */
  readonly replacedAtMs: number | null;
  /** When it was last reported as a second host of the id; null: never. */
  readonly twinAtMs: number | null;
}

export interface HostLife {
  readonly phase: { readonly kind: "away" } | JoinedHost;
  readonly ended: readonly EndedRun[];
  /** False while the door's own engine is down: then the host is not judged. */
  readonly isJudged: boolean;
}

export const unheardHost: HostLife = { phase: { kind: "away" }, ended: [], isJudged: true };

export type HostEvent =
  /** A message of this run of the host has come. */
  | { readonly kind: "heard"; readonly run: string }
  /** The host has said that it ends. */
  | { readonly kind: "bye"; readonly run: string }
  /** A ping was answered: nobody listens. */
  | { readonly kind: "nobody" }
  /** Time has passed: see `dueAtMs`. */
  | { readonly kind: "tick" }
  /** The door's own engine is up again, or down. */
  | { readonly kind: "engine"; readonly isUp: boolean }
  /** The door's own loop stood still, or the engine's server, so that it could hear nothing. */
  | { readonly kind: "stood_still" };

export type HostEffect =
  | { readonly kind: "ping" }
  | { readonly kind: "joined"; readonly run: string }
  /** Another host uses the id too, in this run. */
  | { readonly kind: "twin"; readonly run: string }
  | {
      readonly kind: "gone";
      readonly cause: GoneCause;
      /** How long it was not heard. */
      readonly silentMs: number;
    };

interface Step {
  host: HostLife;
  effects: readonly HostEffect[];
}

export function transitionHost(host: HostLife, event: HostEvent, nowMs: number): Step {
  switch (event.kind) {
    case "heard":
      return heard(host, event.run, nowMs);
    case "bye": {
      const noted = { ...host, ended: withEnded(host, event.run, { atMs: nowMs }) };
      const isJoined = host.phase.kind === "joined" && host.phase.run === event.run;
      return isJoined ? leave(noted, "ended", nowMs) : { host: noted, effects: [] };
    }
    case "nobody":
      return nobodyListens(host, nowMs);
    case "tick":
      return tick(host, nowMs);
    case "engine":
      return { host: judgedAnew({ ...host, isJudged: event.isUp }, nowMs), effects: [] };
    case "stood_still":
      return { host: judgedAnew(host, nowMs), effects: [] };
    default:
      return assertNever(event);
  }
}

/** When the next `tick` is due; Infinity while there is nothing to judge. */
export function dueAtMs({ phase, isJudged }: HostLife): number {
  if (!isJudged || phase.kind === "away") return Infinity;
  return Math.min(phase.pingAtMs, phase.silentSinceMs + SILENT_AFTER_MS);
}

/** Whether nothing needs to be remembered of the host. */
export function isForgettable({ phase, ended }: HostLife, nowMs: number): boolean {
  return phase.kind === "away" && ended.every(({ atMs }) => nowMs - atMs >= ENDED_RUN_MS);
}

function heard(host: HostLife, run: string, nowMs: number): Step {
  const { phase } = host;
  const lately = host.ended.filter(({ atMs }) => nowMs - atMs < ENDED_RUN_MS);
  const known = lately.find((each) => each.run === run);
  // A second host of the id is heard as soon as the first is away.
  if (known !== undefined && (phase.kind === "joined" || known.twinAtMs === null)) {
    return heardEnded(host, known, nowMs);
  }
  const isPresent = phase.kind === "joined" && phase.run === run;
  if (!isPresent && lately.length >= ENDED_RUNS_MAX) return { host, effects: [] };
  const joined: JoinedHost = {
    kind: "joined",
    run,
    heardAtMs: nowMs,
    silentSinceMs: nowMs,
    pingAtMs: nowMs + PING_AFTER_MS,
    nobodyAtMs: null,
  };
  if (isPresent) return { host: { ...host, phase: joined }, effects: [] };
  const before: Step =
    phase.kind === "joined"
      ? leave(replaced(host, phase.run, nowMs), "restarted", nowMs)
      : { host, effects: [] };
  const ended = before.host.ended.filter((each) => each.run !== run);
  return {
    host: { ...before.host, phase: joined, ended },
    effects: [...before.effects, { kind: "joined", run }],
  };
}

/** A run that has ended is heard: its messages are late, or it lives beside its replacement. */
function heardEnded(host: HostLife, known: EndedRun, nowMs: number): Step {
  const { run, replacedAtMs, twinAtMs } = known;
  const isTwin =
    host.phase.kind === "joined" && replacedAtMs !== null && nowMs - replacedAtMs >= TWIN_AFTER_MS;
  if (!isTwin) return { host, effects: [] };
  const isDue = twinAtMs === null || nowMs - twinAtMs >= TWIN_EVERY_MS;
  // While it is heard it stays ended: otherwise the two would replace each other again and again.
  const heardAgain = { atMs: nowMs, replacedAtMs, twinAtMs: isDue ? nowMs : twinAtMs };
  return {
    host: { ...host, ended: withEnded(host, run, heardAgain) },
    effects: isDue ? [{ kind: "twin", run }] : [],
  };
}

/** The run of a second host that uses the id; undefined when none was heard lately. */
export function twinOf({ ended }: HostLife, nowMs: number): string | undefined {
  const isHeard = ({ twinAtMs, atMs }: EndedRun) =>
    twinAtMs !== null && nowMs - atMs < TWIN_AFTER_MS;
  return ended.find(isHeard)?.run;
}

function replaced(host: HostLife, run: string, nowMs: number): HostLife {
  return { ...host, ended: withEnded(host, run, { atMs: nowMs, replacedAtMs: nowMs }) };
}

function nobodyListens(host: HostLife, nowMs: number): Step {
  const { phase, isJudged } = host;
  // The ping of an answer that comes sooner was sent before the host was heard, or judged anew.
  if (phase.kind === "away" || !isJudged || nowMs - phase.silentSinceMs < PING_AFTER_MS) {
    return { host, effects: [] };
  }
  const { nobodyAtMs } = phase;
  if (nobodyAtMs === null) {
    const once = { ...phase, nobodyAtMs: nowMs, pingAtMs: nowMs + PING_EVERY_MS };
    return { host: { ...host, phase: once }, effects: [] };
  }
  if (nowMs - nobodyAtMs < PING_EVERY_MS) return { host, effects: [] };
  return leave(host, "vanished", nowMs);
}

function tick(host: HostLife, nowMs: number): Step {
  const { phase, isJudged } = host;
  if (!isJudged || phase.kind === "away") return { host, effects: [] };
  if (nowMs - phase.silentSinceMs >= SILENT_AFTER_MS) return leave(host, "silent", nowMs);
  if (nowMs < phase.pingAtMs) return { host, effects: [] };
  const pinged = { ...phase, pingAtMs: nowMs + PING_EVERY_MS };
  return { host: { ...host, phase: pinged }, effects: [{ kind: "ping" }] };
}

/** The host, not judged by what was before now. */
function judgedAnew(host: HostLife, nowMs: number): HostLife {
  const { phase } = host;
  if (phase.kind === "away") return host;
  const anew = { silentSinceMs: nowMs, pingAtMs: nowMs + PING_AFTER_MS, nobodyAtMs: null };
  return { ...host, phase: { ...phase, ...anew } };
}

function leave(host: HostLife, cause: GoneCause, nowMs: number): Step {
  const silentMs = host.phase.kind === "joined" ? nowMs - host.phase.heardAtMs : 0;
  return {
    host: { ...host, phase: { kind: "away" } },
    effects: [{ kind: "gone", cause, silentMs }],
  };
}

function withEnded(
  { ended }: HostLife,
  run: string,
  when: Pick<EndedRun, "atMs"> & Partial<EndedRun>,
): HostLife["ended"] {
  const others = ended.filter((each) => each.run !== run);
  const newest = { replacedAtMs: null, twinAtMs: null, ...when, run };
  return [...others, newest].slice(-ENDED_RUNS_MAX);
}
