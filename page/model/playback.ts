/**
 * A recording as the model shows it at an instant: keeps its answers, and feeds the model with what had
 * happened by then. Instants are milliseconds of 1970, as the runs of a service have clocks of their own.
 * Bounded: of a recording with more than `activitiesMax` activities the oldest are left out. Pure.
 */
import { ActivityModel, KEPT_MS } from "./activity-model.js";
import type { Activity, Answer } from "./answer.js";

const ACTIVITIES_MAX = 500_000;

/** A slot, and when its first snapshot was accepted or skipped. */
export interface SlotStart {
  slot: string;
  atMs: number;
}

export class Playback {
  /** Shows the instant of the last `show`. */
  model = new ActivityModel();
  /** In order of time. */
  private answers: Answer[] = [];
  private activities = 0;
  /** Number of activities that are not shown: left out here, or missed by the recording. */
  leftOut = 0;
  /** What was fed: all answers before `next`, and of that one the activities before `nextActivity`. */
  private next = 0;
  private nextActivity = 0;
  private shownMs = -Infinity;
  private offset: { run: string; ms: number } | undefined;
  private starts: SlotStart[] | undefined;

  constructor(private readonly activitiesMax = ACTIVITIES_MAX) {}

  /** Adds the next answer of the recording. To be called before the first `show`. */
  take(answer: Answer): void {
    // Of a run the first answer says how the clocks differ: the system's clock may step later.
    const ms = answer.nowUnixMs - answer.nowMs;
    if (this.offset?.run !== answer.run) this.offset = { run: answer.run, ms };
    else this.leftOut += answer.missed;
    this.answers.push(shifted(answer, this.offset.ms));
    this.activities += answer.activities.length;
    while (this.activities > this.activitiesMax && this.answers.length > 1) {
      const dropped = this.answers.shift()?.activities.length ?? 0;
      this.activities -= dropped;
      this.leftOut += dropped;
    }
  }

  get isEmpty(): boolean {
    return this.answers.length === 0;
  }

  get startMs(): number {
    const [first] = this.answers;
    return first?.activities[0]?.atMs ?? first?.nowMs ?? 0;
  }

  get endMs(): number {
    return Math.max(this.startMs, this.answers.at(-1)?.nowMs ?? 0);
  }

  /** Every slot once, in order of time. */
  slots(): readonly SlotStart[] {
    return (this.starts ??= this.findSlots());
  }

  /** Brings the model to this instant: a later one by what is new, any other from what it remembers. */
  show(atMs: number): void {
    if (atMs < this.shownMs || atMs > this.shownMs + KEPT_MS) this.restart(atMs);
    this.shownMs = atMs;
    for (;;) {
      const answer = this.answers[this.next];
      if (answer === undefined) return;
      const isWhole = answer.nowMs <= atMs;
      const due = dueOf(answer.activities, this.nextActivity, isWhole ? Infinity : atMs);
      if (isWhole || due.length > 0)
        this.model.take(partOf(answer, due, isWhole ? undefined : atMs));
      this.nextActivity += due.length;
      if (!isWhole) return;
      this.next++;
      this.nextActivity = 0;
    }
  }

  private restart(atMs: number): void {
    this.model = new ActivityModel();
    const first = this.answers.findIndex(({ nowMs }) => nowMs >= atMs - KEPT_MS);
    this.next = first < 0 ? this.answers.length : first;
    this.nextActivity = 0;
  }

  private findSlots(): SlotStart[] {
    const starts = new Map<string, SlotStart>();
    for (const { activities } of this.answers) {
      for (const activity of activities) {
        if (activity.kind !== "accepted" && activity.kind !== "skipped") continue;
        const { slot, atMs } = activity;
        if (!starts.has(slot)) starts.set(slot, { slot, atMs });
      }
    }
    return [...starts.values()].sort((a, b) => a.atMs - b.atMs);
  }
}

/** The answer with this of its activities; without its state, and at `atMs`, when it is not whole yet. */
function partOf(answer: Answer, activities: Activity[], atMs: number | undefined): Answer {
  if (atMs === undefined) return { ...answer, activities };
  return { ...answer, nowMs: atMs, activities, missed: 0, devices: undefined };
}

function dueOf(activities: readonly Activity[], from: number, untilMs: number): Activity[] {
  const later = activities.findIndex((activity, at) => at >= from && activity.atMs > untilMs);
  return activities.slice(from, later < 0 ? undefined : later);
}

/** The same with instants that are `ms` later. */
function shifted(answer: Answer, ms: number): Answer {
  const activities = answer.activities.map((activity): Activity => {
    const moved = { ...activity, atMs: activity.atMs + ms };
    if (moved.kind !== "accepted") return moved;
    return {
      ...moved,
      receivedAtMs: moved.receivedAtMs + ms,
      deadlineAtMs: moved.deadlineAtMs + ms,
      fenceAtMs: moved.fenceAtMs + ms,
    };
  });
  const nowMs = answer.nowMs + ms;
  return { ...answer, nowMs, nowUnixMs: nowMs, activities };
}
