/** Any traffic of three doors over one lane: what must hold whatever is lost, doubled or overtaken. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { ShareEffect, ShareEvent } from "../../../server/fleet/host/lane-share-events.js";
import { nextTickMs } from "../../../server/fleet/host/lane-share.js";
import { leaseOf } from "../../../server/fleet/host/shared-report.js";
import type { SharedReport } from "../../../server/fleet/wire/messages.js";
import { assignment, doorNamed, SharedLane } from "./shared-lane.js";

type DoorId = "a" | "b" | "c";
type Move =
  | { kind: "assign"; door: DoorId; work: number; fenceInMs: number }
  | { kind: "adopt"; door: DoorId; work: number; fenceInMs: number }
  | { kind: "kill"; door: DoorId; of: number }
  | { kind: "drain"; door: DoorId; isDrained: boolean }
  /** Delivers one of the messages that doors have sent, perhaps not for the first time. */
  | { kind: "deliver"; which: number }
  | { kind: "internal"; direction: "up" | "down" }
  | { kind: "fetch"; isOk: boolean }
  | { kind: "lane"; what: "proof" | "death" | "moves" | "beats" }
  | { kind: "wait"; ms: number };

const door = fc.constantFrom<DoorId[]>("a", "b", "c");
const work = fc.nat({ max: 2 });
const fenceInMs = fc.integer({ min: -10, max: 400 });
const move: fc.Arbitrary<Move> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("assign"), door, work, fenceInMs }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("adopt"), door, work, fenceInMs }) },
  fc.record({ kind: fc.constant("kill"), door, of: fc.nat({ max: 3 }) }),
  fc.record({ kind: fc.constant("drain"), door, isDrained: fc.boolean() }),
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("deliver"), which: fc.nat() }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("internal"),
      direction: fc.constantFrom("up", "down"),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("fetch"), isOk: fc.boolean() }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("lane"),
      what: fc.constantFrom("proof", "death", "moves", "beats"),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("wait"), ms: fc.nat({ max: 200 }) }) },
);

/** The doors with what they sent, and the promises of a shared lane. */
class Model {
  readonly lane = new SharedLane();
  private readonly sent: ShareEvent[] = [];
  /** Digest and fence of each attempt of a door, by `door attempt`. */
  private readonly asked = new Map<string, { digest: string; fenceAtMs: number; adopts: number }>();
  private readonly endsOf = new Map<string, number>();
  private readonly digestOfLease = new Map<number, string>();
  private report: SharedReport | undefined;
  private attempts = 0;
  private commands = 0;
  private looked = 0;

  apply(move: Move): void {
    this.act(move);
    this.check();
  }

  private act(move: Move): void {
    const { lane } = this;
    switch (move.kind) {
      case "assign": {
        const { digest, fenceAtMs, attempt, from } = this.next(move);
        const lease = this.report?.lease ?? leaseOf(lane.share);
        const asked = assignment(digest, fenceAtMs);
        this.sent.push({ kind: "assign", door: from, lease, attempt, assignment: asked });
        return;
      }
      case "adopt": {
        const { digest, fenceAtMs, attempt, from } = this.next(move);
        this.sent.push({ kind: "adopt", door: from, attempt, digest, fenceAtMs });
        return;
      }
      case "kill": {
        const attempt = Math.max(1, this.attempts - move.of);
        const lease = this.report?.lease ?? 1;
        const from = doorNamed(move.door);
        this.sent.push({ kind: "kill", door: from, lease, attempt, reason: "cancelled" });
        return;
      }
      case "drain": {
        const command = { kind: "drain", isDrained: move.isDrained } as const;
        const number = ++this.commands;
        this.sent.push({ kind: "command", door: doorNamed(move.door), number, command });
        return;
      }
      case "deliver": {
        const message = this.sent[move.which % Math.max(1, this.sent.length)];
        if (message === undefined) return;
        if (message.kind === "adopt") {
          const asked = this.asked.get(`${message.door.id} ${message.attempt}`);
          if (asked !== undefined) asked.adopts++;
        }
        lane.send(message);
        return;
      }
      case "internal":
        return lane.deliver(move.direction);
      case "fetch": {
        const attempt = lane.share.lastAttempt;
        lane.send({ kind: move.isOk ? "fetched" : "fetch_failed", attempt });
        return;
      }
      case "lane":
        if (move.what === "moves") lane.laneMoves();
        else if (move.what === "beats") lane.laneBeats();
        else lane.laneEnds(move.what);
        return;
      case "wait":
        return this.wait(move.ms);
    }
  }

  private next({ door, work, fenceInMs }: { door: DoorId; work: number; fenceInMs: number }) {
    const attempt = ++this.attempts;
    const from = doorNamed(door);
    const asked = { digest: `w${work}`, fenceAtMs: this.lane.nowMs + fenceInMs, adopts: 0 };
    this.asked.set(`${from.id} ${attempt}`, asked);
    return { ...asked, attempt, from };
  }

  /** Time passes; the host's timer fires at each instant that the share names. */
  wait(ms: number): void {
    const { lane } = this;
    const untilMs = lane.nowMs + ms;
    while (nextTickMs(lane.share) <= untilMs) {
      lane.nowMs = Math.max(lane.nowMs, nextTickMs(lane.share));
      lane.send({ kind: "tick" });
      expect(nextTickMs(lane.share)).toBeGreaterThan(lane.nowMs);
      this.check();
    }
    lane.nowMs = untilMs;
  }

  private check(): void {
    const { share, nowMs } = this.lane;
    for (const effect of this.lane.effects.slice(this.looked)) this.look(effect);
    this.looked = this.lane.effects.length;
    const { attempt, held } = share;
    for (const { fenceAtMs } of held) expect(fenceAtMs).toBeGreaterThan(nowMs);
    if (attempt?.stage.kind === "fetching" || attempt?.stage.kind === "given") {
      const fences = attempt.owners.map(({ fenceAtMs }) => fenceAtMs);
      expect(Math.max(...fences)).toBeGreaterThan(nowMs);
    }
    this.checkRecord();
    const names = attempt?.owners.map(({ id, run }) => `${id} ${run}`) ?? [];
    expect(new Set(names).size).toBe(names.length);
  }

  /** The audit record has every attempt and every result. */
  private checkRecord(): void {
    const { lines, effects, share } = this.lane;
    const count = (kind: ShareEffect["kind"]) =>
      effects.filter((each) => each.kind === kind).length;
    const attempts = lines.filter(({ kind }) => kind === "attempt");
    const isOpen = share.attempt !== null && share.attempt.stage.kind !== "ended";
    expect(attempts.length + (isOpen ? 1 : 0)).toBe(count("fetch"));
    const sent = attempts.reduce((sum, { fields }) => sum + Number(fields["sent"]), 0);
    const adopts = lines.filter(({ kind }) => kind === "adopt").length;
    expect(sent + adopts).toBe(count("end"));
  }

  private look(effect: ShareEffect): void {
    if (effect.kind === "announce") {
      const { report, sequence } = effect;
      if (this.report !== undefined) {
        expect(report.lease).toBeGreaterThanOrEqual(this.report.lease);
      }
      expect(sequence).toBeLessThanOrEqual(this.lane.share.sequence);
      if (report.phase.kind === "proving") {
        const { digest } = report.phase;
        expect(this.digestOfLease.get(report.lease) ?? digest).toBe(digest);
        this.digestOfLease.set(report.lease, digest);
      }
      this.report = report;
    }
    if (effect.kind !== "end") return;
    const { id, attempt } = effect.owner;
    const asked = this.asked.get(`${id} ${attempt}`);
    if (asked === undefined) throw new Error("the end of an attempt that no door made");
    const key = `${id} ${attempt}`;
    const count = (this.endsOf.get(key) ?? 0) + 1;
    this.endsOf.set(key, count);
    // Only an adoption that is repeated is answered again.
    expect(count).toBeLessThanOrEqual(Math.max(1, asked.adopts));
    const { result } = effect;
    if (result.kind === "proved") expect(result.proof.sha256).toBe(asked.digest);
  }

  /** All doors fall silent: the lane comes to rest by itself, and is free for the next. */
  rest(): void {
    const { lane } = this;
    lane.settle();
    this.wait(1000);
    for (let turn = 0; turn < 12; turn++) {
      lane.laneBeats();
      lane.laneMoves();
      lane.settle();
      this.wait(100);
    }
    expect(lane.share).toMatchObject({ attempt: null, held: [], pending: [] });
    expect(lane.lane.phase.kind).toBe("idle");
    const command = { kind: "drain", isDrained: false } as const;
    lane.send({ kind: "command", door: doorNamed("a"), number: this.commands + 1, command });
    lane.settle();
    const asked = assignment("w0", lane.nowMs + 100);
    const lease = leaseOf(lane.share);
    const attempt = this.attempts + 2;
    lane.send({ kind: "assign", door: doorNamed("a"), lease, attempt, assignment: asked });
    lane.send({ kind: "fetched", attempt: lane.share.lastAttempt });
    lane.settle();
    expect(lane.lane.phase.kind).toBe("proving");
  }
}

test("whatever doors send, one proof runs, owners hear once, and nothing outlives its fence", () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 60, size: "max" }), (moves) => {
      const model = new Model();
      for (const each of moves) model.apply(each);
      model.rest();
    }),
    { numRuns: 400 },
  );
});
