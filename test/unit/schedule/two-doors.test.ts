/**
 * Two doors on one lane over messages that get lost, doubled and overtaken: each attempt of each
 * door ends once, the lane never works for a door that does not want it, and all settles once
 * messages arrive again.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type {
  Announcement,
  FromLane,
  ReportedPhase,
  ToLane,
} from "../../../server/lane/lane-messages.js";
import { unknownLane } from "../../../server/schedule/lane-belief.js";
import { FleetCosts } from "../../../server/schedule/forecast/fleet-costs.js";
import type { AttemptEnd } from "../../../server/schedule/lane-handle.js";
import { LaneHandle } from "../../../server/schedule/lane-handle.js";
import { groupOfRaws } from "../../helpers/scheduler.js";

const DOORS = [0, 1] as const;
const FENCE_MS = 1e9;
const { work } = groupOfRaws("work", 1);
const result = { kind: "rejected", leftOut: [] } as const;

/** Owners by door: a door's attempt, by its own number. */
type Owners = Map<number, number>;

/** A lane as its host shares it: the rules of decision 18, without provers. */
class SharedLane {
  private lease = 1;
  private sequence = 0;
  private running: { digest: string; owners: Owners } | undefined;
  private held: string | undefined;

  receive(door: number, message: ToLane): [door: number, message: FromLane][] {
    const { running } = this;
    if (message.kind === "assign") {
      if (running !== undefined || message.lease !== this.lease) return [];
      const { digest } = message.assignment;
      this.running = { digest, owners: new Map([[door, message.attempt]]) };
    } else if (message.kind === "adopt") {
      if (message.digest === this.held) return [[door, this.ended(message.attempt)]];
      if (message.digest !== running?.digest) return [];
      if (!running.owners.has(door)) running.owners.set(door, message.attempt);
    } else if (message.kind === "kill") {
      if (running?.owners.get(door) === message.attempt) {
        running.owners.delete(door);
        if (running.owners.size === 0) this.free();
      } else if (running === undefined && message.lease === this.lease) {
        this.lease++;
      }
    }
    return this.announceAll();
  }

  /** The proof ends, and is held where it was made for somebody. */
  end(): [door: number, message: FromLane][] {
    const { running } = this;
    if (running === undefined) return [];
    this.held = running.digest;
    const ends = [...running.owners].map(([door, attempt]): [number, FromLane] => {
      return [door, this.ended(attempt)];
    });
    this.free();
    return [...ends, ...this.announceAll()];
  }

  /** One report, as each door hears it. */
  announceAll(): [door: number, message: FromLane][] {
    this.sequence++;
    return DOORS.map((door): [number, FromLane] => [door, this.announcement(door)]);
  }

  get owners(): Owners {
    return this.running?.owners ?? new Map();
  }

  private free(): void {
    this.running = undefined;
    this.lease++;
  }

  private ended(attempt: number): FromLane {
    return { kind: "ended", attempt, result };
  }

  private announcement(door: number): Announcement {
    const { running, held, lease, sequence } = this;
    const listed = (digest: string | undefined, isRunning: boolean) =>
      digest === undefined ? [] : [{ digest, fenceAtMs: FENCE_MS, isRunning }];
    const adoptable = [...listed(running?.digest, true), ...listed(held, false)];
    const attempt = running?.owners.get(door) ?? null;
    const phase: ReportedPhase =
      running === undefined ? { kind: "idle" } : { kind: "proving", attempt, proof: null };
    return { ...unknownLane.report, kind: "announce", sequence, lease, phase, adoptable };
  }
}

/** A door's side of the lane: starts attempts and checks how they end. */
class Door {
  readonly wanted = new Set<number>();
  readonly ends = new Map<number, AttemptEnd["kind"]>();
  private readonly handle: LaneHandle;
  private last = 0;

  constructor(send: (message: ToLane) => void) {
    this.handle = new LaneHandle({ deviceId: "a", send }, new FleetCosts().add(), 1);
  }

  hear(message: FromLane, nowMs: number): void {
    for (const { attempt, kind } of this.handle.hear(message, nowMs)) {
      if (!this.wanted.delete(attempt)) throw new Error(`${attempt} ended twice or was killed`);
      this.ends.set(attempt, kind);
    }
  }

  assign(digest: string): void {
    if (this.handle.duty.kind !== "idle") return;
    const attempt = this.begin();
    const times = { deadlineAtMs: 0, fenceAtMs: FENCE_MS, minInputs: 1, rotation: 0 };
    const flags = {
      steps: [],
      isFirstOfSession: true,
      isExploration: false,
      isRetry: false,
      mayShed: true,
    };
    this.handle.assign(attempt, { work, digest, ...times, ...flags });
    this.handle.sendAssignment();
  }

  adopt(nowMs: number): void {
    const [offered] = this.handle.adoptable(nowMs);
    if (offered === undefined) return;
    const attempt = this.begin();
    this.handle.adopt(attempt, { work, digest: offered.digest, fenceAtMs: FENCE_MS }, nowMs);
    this.handle.sendAdoption(attempt);
  }

  kill(): void {
    const [attempt] = this.wanted;
    if (attempt === undefined) return;
    this.wanted.delete(attempt);
    this.handle.kill(attempt, "cancelled");
  }

  get duty(): string {
    return this.handle.duty.kind;
  }

  private begin(): number {
    this.wanted.add(++this.last);
    return this.last;
  }
}

type Step =
  | { kind: "assign" | "adopt" | "kill"; door: number }
  | { kind: "end" | "announce" }
  | { kind: "deliver" | "drop" | "double"; at: number };

const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom("assign", "adopt", "kill"), door: fc.nat(1) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("end", "announce") }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("deliver"), at: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("drop", "double"), at: fc.nat() }) },
);

class Pair {
  readonly lane = new SharedLane();
  readonly doors = DOORS.map((door) => {
    return new Door((message) =>
      this.way.push(() => this.toDoors(this.lane.receive(door, message))),
    );
  });
  /** Messages that are on their way. */
  private readonly way: (() => void)[] = [];
  private nowMs = 0;

  take(step: Step): void {
    this.nowMs += 100;
    switch (step.kind) {
      case "assign":
        return this.doors[step.door]?.assign(`work ${step.door} ${this.nowMs}`);
      case "adopt":
        return this.doors[step.door]?.adopt(this.nowMs);
      case "kill":
        return this.doors[step.door]?.kill();
      case "end":
        return this.toDoors(this.lane.end());
      case "announce":
        return this.toDoors(this.lane.announceAll());
      default: {
        const at = step.at % Math.max(1, this.way.length);
        const [message] =
          step.kind === "double" ? this.way.slice(at, at + 1) : this.way.splice(at, 1);
        if (step.kind !== "drop") message?.();
      }
    }
  }

  /** Everything arrives from now on, in order; the lane announces itself and its proofs end. */
  settle(): void {
    for (let round = 0; round < 20; round++) {
      for (let at = 0; this.way.length > 0 && at < 1000; at++)
        this.take({ kind: "deliver", at: 0 });
      this.nowMs += 1000;
      if (round % 4 === 3) this.toDoors(this.lane.end());
      this.toDoors(this.lane.announceAll());
    }
    while (this.way.length > 0) this.take({ kind: "deliver", at: 0 });
  }

  private toDoors(messages: readonly [door: number, message: FromLane][]): void {
    for (const [door, message] of messages) {
      this.way.push(() => this.doors[door]?.hear(message, this.nowMs));
    }
  }
}

test("each attempt of each door ends once, and all settles once messages arrive again", () => {
  const seen = new Set<string>();
  const property = fc.property(fc.array(steps, { maxLength: 120, size: "max" }), (taken) => {
    const pair = new Pair();
    for (const step of taken) pair.take(step);
    pair.settle();
    for (const door of pair.doors) {
      expect(door.wanted.size).toBe(0);
      expect(door.duty).toBe("idle");
      for (const kind of door.ends.values()) seen.add(kind);
    }
    expect(pair.lane.owners.size).toBe(0);
  });
  fc.assert(property, { numRuns: 400 });
  expect([...seen].sort()).toEqual(["finished", "lost", "taken"]);
});

test("the lane works only for doors that want it once messages have arrived", () => {
  const property = fc.property(fc.array(steps, { maxLength: 60, size: "max" }), (taken) => {
    const pair = new Pair();
    for (const step of taken) pair.take(step);
    pair.settle();
    pair.doors[0]?.assign("last");
    pair.doors[1]?.assign("last too");
    pair.settle();
    const ends = pair.doors.map(({ ends }) => [...ends.values()].at(-1)).sort();
    expect(ends).toEqual(["finished", "taken"]);
  });
  fc.assert(property, { numRuns: 300 });
});
