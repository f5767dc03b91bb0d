/**
 * What the live page and `admin top` draw, built from the answers of the stream: groups from acceptance
 * to end, what each lane did, skips, and the newest state of devices and nodes. Bounded: what is older
 * than `KEPT_MS`, and of that the oldest beyond `GROUPS_MAX`, is forgotten. Pure.
 */
import type { Attempt } from "./attempts.js";
import { Attempts } from "./attempts.js";
import type { Activity, Answer, Cost, Device, Event, Node, Size } from "./answer.js";
import type { Accepted, Group } from "./group.js";

/** How long ended groups and proofs are kept, in milliseconds. */
export const KEPT_MS = 10 * 60_000;
const GROUPS_MAX = 20_000;
/** Stretches of work that are kept of a lane. */
const BARS_MAX = 5000;
const SKIPS_MAX = 5000;

type Lane = Extract<Event, { kind: "lane" }>;

/** One stretch of work of a lane: an attempt or a job of one, or another state than idle. */
export interface LaneBar {
  readonly key: string;
  readonly device: string;
  readonly state: string;
  /** The number of the job, or of an attempt of one proof; 0 for the work of another service. */
  readonly job: number;
  readonly startAtMs: number;
  /** When its proof started; undefined while inputs are verified, and without a proof. */
  proofAtMs: number | undefined;
  proof: Size | undefined;
  /** Undefined while it goes on. */
  endAtMs: number | undefined;
  readonly cause: string;
}

export interface Skip {
  readonly atMs: number;
  readonly node: string;
  readonly slot: string;
  readonly reason: string;
  readonly detail: string;
}

/** The work of a lane with this key; undefined when it is not known. */
export function barOf(key: string, { lanes }: ActivityModel): LaneBar | undefined {
  const device = key.slice(0, Math.max(0, key.lastIndexOf("#")));
  return lanes.get(device)?.find((bar) => bar.key === key);
}

export class ActivityModel {
  readonly groups = new Map<string, Group>();
  /** By device, in order of time. */
  readonly lanes = new Map<string, LaneBar[]>();
  readonly costs = new Map<string, Cost[]>();
  skips: Skip[] = [];
  devices: readonly Device[] = [];
  nodes: readonly Node[] = [];
  /** The newest answer; undefined before the first. */
  last: Answer | undefined;
  /** Activities that the service had dropped before they could be read. */
  missed = 0;
  private readonly attempts = new Attempts();
  private bars = 0;
  /** The number, within the run, of the activity that the stream sends next, and of the one that is new. */
  private sent = 0;
  private next = 0;

  /** A new stream begins: it sends again what the service keeps, which is taken once. */
  streamBegins(): void {
    this.sent = 0;
  }

  take(answer: Answer): void {
    if (this.last !== undefined && this.last.run !== answer.run) this.forgetAll();
    const isFirst = this.last === undefined;
    this.last = answer;
    const from = this.sent + answer.missed;
    // Before the first answer nothing was there to miss: the service keeps some minutes only.
    if (!isFirst) this.missed += Math.max(0, from - this.next);
    const known = Math.max(0, this.next - from);
    for (const activity of answer.activities.slice(known)) this.takeActivity(activity);
    this.sent = from + answer.activities.length;
    this.next = Math.max(this.next, this.sent);
    this.forgetBefore(answer.nowMs - KEPT_MS);
    if (answer.devices === undefined) return;
    this.devices = answer.devices;
    for (const { id, costs } of answer.devices) if (costs.length > 0) this.costs.set(id, costs);
    this.nodes = answer.nodes;
    this.forgetGone(answer.nowMs);
  }

  /** The attempt that the lane's bar is of; undefined when it is not known, and without one. */
  attemptOf({ state, job }: LaneBar): Attempt | undefined {
    return state === "proving" ? this.attempts.of(job) : undefined;
  }

  /** The attempts at the group, the newest last. */
  attemptsAt(group: Group): Attempt[] {
    return group.attempts.flatMap((number) => this.attempts.of(number) ?? []);
  }

  /** The newest attempt at the group; undefined before the first. */
  newestAttempt(group: Group): Attempt | undefined {
    return this.attempts.of(group.attempts.at(-1) ?? 0);
  }

  /** The groups that the lane's work is for: none when they are not known. */
  groupsOf(bar: LaneBar): Group[] {
    return [...(this.attemptOf(bar)?.groups ?? [])];
  }

  private takeActivity(activity: Activity): void {
    switch (activity.kind) {
      case "accepted":
        return this.accept(activity);
      case "skipped":
        this.skips.push(activity);
        return;
      case "started":
        return this.start(activity);
      case "job":
        return this.attempts.addJob(activity.attempt, activity.job, activity.device);
      case "ended":
        return this.endGroup(activity);
      case "lane":
        return this.takeLane(activity);
      case "other":
        return;
    }
  }

  private accept(session: Accepted): void {
    session.groups.forEach((size, index) => {
      const key = `${session.session}/${index}`;
      const waiting = { startedAtMs: undefined, provingAtMs: undefined, end: undefined };
      this.groups.set(key, { key, session, index, size, attempts: [], ...waiting });
    });
  }

  private start({ session, group: index, attempt, device, atMs }: Activity & { kind: "started" }) {
    const group = this.groups.get(`${session}/${index}`);
    if (group === undefined) return;
    group.startedAtMs ??= atMs;
    group.attempts.push(attempt);
    this.attempts.join(group, attempt, device);
    // A group that joins an attempt finds its proof running already.
    group.provingAtMs = this.isProofRunning(attempt) ? atMs : undefined;
  }

  private isProofRunning(attempt: number): boolean {
    return [...this.lanes.values()].some((bars) => {
      const bar = bars.at(-1);
      if (bar?.proofAtMs === undefined || bar.endAtMs !== undefined) return false;
      return this.attemptOf(bar)?.number === attempt;
    });
  }

  private endGroup(ended: Activity & { kind: "ended" }): void {
    const group = this.groups.get(`${ended.session}/${ended.group}`);
    if (group === undefined) return;
    const { atMs, status, reason, votes, proveMs } = ended;
    group.end = { atMs, status, reason, votes, proveMs };
    // What its lane did is not known: the service had dropped it before it was read.
    if (group.provingAtMs === undefined && group.startedAtMs !== undefined && proveMs > 0) {
      group.provingAtMs = Math.max(group.startedAtMs, atMs - proveMs);
    }
  }

  private takeLane(lane: Lane & { atMs: number }): void {
    const { device, state, job, proof, cause, atMs } = lane;
    const bars = this.lanes.get(device) ?? [];
    this.lanes.set(device, bars);
    const last = bars.at(-1);
    const goesOn = last !== undefined && last.endAtMs === undefined;
    if (goesOn && state === "proving" && last.state === state && last.job === job) {
      last.proof = proof ?? last.proof;
      if (proof !== undefined) last.proofAtMs ??= atMs;
      this.noteProof(job, atMs, proof);
      return;
    }
    if (goesOn) last.endAtMs = atMs;
    if (state === "idle" || state === "unspecified") return;
    const key = `${device}#${++this.bars}`;
    const proofAtMs = proof === undefined ? undefined : atMs;
    const work = { job, startAtMs: atMs, proofAtMs, proof, endAtMs: undefined };
    bars.push({ key, device, state, cause, ...work });
    this.noteProof(job, atMs, proof);
  }

  private noteProof(job: number, atMs: number, proof: Size | undefined): void {
    if (proof === undefined) return;
    for (const group of this.attempts.of(job)?.groups ?? []) {
      if (group.end === undefined) group.provingAtMs ??= atMs;
    }
  }

  private forgetBefore(atMs: number): void {
    for (const [key, group] of this.groups) {
      const { end, session } = group;
      const isOld = (end?.atMs ?? session.fenceAtMs) < atMs;
      if (isOld || this.groups.size > GROUPS_MAX) {
        this.groups.delete(key);
        this.attempts.forget(group);
      } else if (end !== undefined) break;
    }
    for (const bars of this.lanes.values()) {
      const young = bars.findIndex(({ endAtMs = Infinity }) => endAtMs >= atMs);
      bars.splice(0, Math.max(young < 0 ? bars.length : young, bars.length - BARS_MAX));
    }
    const young = this.skips.findIndex((skip) => skip.atMs >= atMs);
    const old = young < 0 ? this.skips.length : young;
    this.skips.splice(0, Math.max(old, this.skips.length - SKIPS_MAX));
  }

  /** What a gone device did is kept as long as any work; its costs are not. */
  private forgetGone(nowMs: number): void {
    const ids = new Set(this.devices.map(({ id }) => id));
    for (const id of this.costs.keys()) if (!ids.has(id)) this.costs.delete(id);
    for (const [id, bars] of this.lanes) {
      if (ids.has(id)) continue;
      const last = bars.at(-1);
      if (last === undefined) this.lanes.delete(id);
      // The activity that ends it was missed.
      else last.endAtMs ??= nowMs;
    }
  }

  private forgetAll(): void {
    this.groups.clear();
    this.attempts.clear();
    this.lanes.clear();
    this.costs.clear();
    this.skips = [];
    this.devices = [];
    this.nodes = [];
    this.last = undefined;
    this.missed = 0;
    this.sent = 0;
    this.next = 0;
  }
}
