/** One lane shared by doors: who owns an attempt, until when, and what each hears. */
import { expect, test } from "vitest";
import type { ShareEffect } from "../../../../server/fleet/host/lane-share-events.js";
import { nextTickMs } from "../../../../server/fleet/host/lane-share.js";
import { leaseOf } from "../../../../server/fleet/host/shared-report.js";
import type { Peer } from "../../../../server/fleet/wire/messages.js";
import { limits } from "../../../../server/limits.js";
import { assignment, doorNamed, proved, SharedLane } from "../shared-lane.js";

const a = doorNamed("a");
const b = doorNamed("b");
const kinds = (effects: readonly ShareEffect[]) => effects.map(({ kind }) => kind);
const ends = (lane: SharedLane) =>
  lane.effects.flatMap((effect) =>
    effect.kind === "end"
      ? [`${effect.owner.id}${effect.owner.attempt} ${effect.result.kind}`]
      : [],
  );
const reports = (effects: readonly ShareEffect[]) =>
  effects.flatMap((effect) => (effect.kind === "announce" ? [effect.report] : []));

const assign = (door: Peer, attempt: number, lease: number, fenceAtMs = 1000, digest = "d1") =>
  ({ kind: "assign", door, lease, attempt, assignment: assignment(digest, fenceAtMs) }) as const;
const adopt = (door: Peer, attempt: number, fenceAtMs = 1000, digest = "d1") =>
  ({ kind: "adopt", door, attempt, digest, fenceAtMs }) as const;
const kill = (door: Peer, attempt: number, lease: number) =>
  ({ kind: "kill", door, lease, attempt, reason: "cancelled" }) as const;

/** A lane that proves attempt 5 of door a. */
function proving(fenceAtMs = 1000): SharedLane {
  const lane = new SharedLane();
  lane.send(assign(a, 5, 1, fenceAtMs));
  lane.send({ kind: "fetched", attempt: 1 });
  lane.settle();
  expect(lane.lane.phase).toMatchObject({ kind: "proving", attempt: 1 });
  return lane;
}

test("the first assignment takes the lane, and is announced before its work is fetched", () => {
  const lane = new SharedLane();
  const effects = lane.send(assign(a, 5, 1));
  expect(kinds(effects)).toEqual(["announce", "fetch"]);
  expect(reports(effects)[0]).toMatchObject({
    lease: 1,
    phase: { kind: "proving", digest: "d1", owners: [{ ...a, attempt: 5 }], fenceInMs: 1000 },
  });
  expect(lane.send(assign(b, 9, 1))).toEqual([{ kind: "ignored", cause: "taken" }]);
  expect(lane.send(assign(a, 5, 1))).toEqual([{ kind: "ignored", cause: "repeated" }]);
});

test("an owner gets the result before the lease that follows is announced", () => {
  const lane = proving();
  lane.laneEnds("proof");
  const before = lane.effects.length;
  lane.settle();
  const told = lane.effects.slice(before);
  expect(kinds(told)).toEqual(["end", "forget_work", "announce"]);
  expect(reports(told)[0]).toMatchObject({
    lease: 2,
    phase: { kind: "idle" },
    held: [{ digest: "d1", fenceInMs: 1000 }],
  });
});

test("a stale assignment gets no answer: answers to them would multiply", () => {
  const lane = proving();
  lane.laneEnds("proof");
  lane.settle();
  expect(lane.send(assign(b, 9, 1))).toEqual([{ kind: "ignored", cause: "stale" }]);
  expect(lane.send(assign(b, 9, 3))).toEqual([{ kind: "ignored", cause: "stale" }]);
  expect(kinds(lane.send(assign(b, 9, 2)))).toEqual(["announce", "fetch"]);
});

test("an assignment that an occupied lane cannot take uses its lease up", () => {
  const lane = new SharedLane();
  lane.send({ kind: "command", door: a, number: 1, command: { kind: "drain", isDrained: true } });
  lane.settle();
  expect(reports(lane.send(assign(b, 9, 1)))[0]).toMatchObject({ lease: 2, isDrained: true });
  const late = new SharedLane();
  late.nowMs = 2000;
  expect(reports(late.send(assign(b, 9, 1)))[0]).toMatchObject({ lease: 2 });
});

test("work that cannot be had ends the lease, and the lane below never knew of it", () => {
  const lane = new SharedLane();
  lane.send(assign(a, 5, 1));
  const effects = lane.send({ kind: "fetch_failed", attempt: 1 });
  expect(kinds(effects)).toEqual(["announce", "forget_work"]);
  expect(reports(effects)[0]).toMatchObject({ lease: 2, phase: { kind: "idle" } });
  expect(lane.lane.lease).toBe(1);
  lane.send(assign(b, 9, 2));
  lane.send({ kind: "fetched", attempt: 2 });
  lane.settle();
  lane.laneEnds("proof");
  lane.settle();
  expect(ends(lane)).toEqual(["b9 proved"]);
  expect(leaseOf(lane.share)).toBe(3);
});

test("work that is not there by the deadline comes too late, but for a retry", () => {
  const lane = new SharedLane();
  const message = assign(a, 5, 1, 1000);
  const early = { ...message.assignment, deadlineAtMs: 300 };
  lane.send({ ...message, assignment: early });
  expect(nextTickMs(lane.share)).toBe(300);
  lane.nowMs = 300;
  expect(kinds(lane.send({ kind: "fetched", attempt: 1 }))).toEqual(["announce", "forget_work"]);
  const retry = new SharedLane();
  retry.send({ ...message, assignment: { ...early, isRetry: true } });
  expect(nextTickMs(retry.share)).toBe(1000);
});

test("a prover that dies while the work is fetched ends the lease", () => {
  const lane = new SharedLane();
  lane.send(assign(a, 5, 1));
  lane.laneStep({ kind: "exited", prover: 1, why: "SIGKILL", isRefused: false });
  lane.settle();
  expect(lane.share.attempt).toBe(null);
  expect(leaseOf(lane.share)).toBe(2);
  expect(kinds(lane.send({ kind: "fetched", attempt: 1 }))).toEqual([]);
});

test("a door that adopts a running proof gets its result too, under its own number", () => {
  const lane = proving();
  const effects = lane.send(adopt(b, 9, 3000));
  expect(reports(effects)[0]?.phase).toMatchObject({
    owners: [
      { ...a, attempt: 5 },
      { ...b, attempt: 9 },
    ],
    fenceInMs: 3000,
  });
  expect(lane.send(adopt(b, 9, 3000))).toEqual([{ kind: "ignored", cause: "repeated" }]);
  lane.laneEnds("death");
  lane.settle();
  expect(ends(lane)).toEqual(["a5 failed", "b9 failed"]);
});

test("a door adopts a proof that has ended until the last fence of its owners", () => {
  const lane = proving();
  lane.laneEnds("proof");
  lane.settle();
  const [end] = lane.send(adopt(b, 9));
  expect(end).toEqual({ kind: "end", owner: { ...b, attempt: 9 }, result: proved("d1") });
  expect(lane.send(adopt(b, 9))).toEqual([{ kind: "ignored", cause: "repeated" }]);
  lane.nowMs = limits.heldAnswerEveryMs;
  expect(kinds(lane.send(adopt(b, 9)))).toEqual(["end"]);
  expect(nextTickMs(lane.share)).toBe(1000);
  lane.nowMs = 1000;
  expect(reports(lane.send({ kind: "tick" }))[0]?.held).toEqual([]);
  expect(lane.send(adopt(b, 9))).toEqual([{ kind: "ignored", cause: "unknown" }]);
});

test("at most four proofs of a lane are held, the newest", () => {
  const lane = new SharedLane();
  for (let number = 1; number <= 6; number++) {
    lane.send(assign(a, number, number, 1000, `d${number}`));
    lane.send({ kind: "fetched", attempt: number });
    lane.settle();
    lane.laneEnds("proof");
    lane.settle();
  }
  expect(lane.share.held.map(({ digest }) => digest)).toEqual(["d6", "d5", "d4", "d3"]);
});

test("a proof is killed when its last owner has left, by kill or at its own fence", () => {
  const lane = proving(1000);
  lane.send(adopt(b, 9, 3000));
  expect(kinds(lane.send(kill(a, 5, 1)))).toEqual(["announce"]);
  lane.nowMs = 3000;
  expect(lane.send({ kind: "tick" })).toContainEqual({
    kind: "kill",
    lease: 1,
    attempt: 1,
    reason: "fence",
  });
  lane.settle();
  expect(lane.lane.phase).toEqual({ kind: "stopping", cause: "fence" });
  expect(ends(lane)).toEqual([]);
  expect(leaseOf(lane.share)).toBe(2);
});

test("a result at the fence is too late for the owner whose fence it is", () => {
  const lane = proving(1000);
  lane.send(adopt(b, 9, 3000));
  lane.nowMs = 1000;
  lane.laneEnds("proof");
  lane.settle();
  expect(ends(lane)).toEqual(["b9 proved"]);
});

test("a kill that overtakes its assignment or its adoption makes that stale", () => {
  const lane = new SharedLane();
  expect(reports(lane.send(kill(a, 5, 1)))[0]).toMatchObject({ lease: 2 });
  expect(lane.send(assign(a, 5, 1))).toEqual([{ kind: "ignored", cause: "stale" }]);
  const shared = proving();
  shared.send(kill(b, 9, 1));
  expect(shared.send(adopt(b, 9))).toEqual([{ kind: "ignored", cause: "repeated" }]);
  expect(kinds(shared.send(adopt(b, 10)))).toEqual(["announce"]);
});

test("the kill of another door's attempt has no effect", () => {
  const lane = proving();
  expect(lane.send(kill(b, 5, 1))).toEqual([{ kind: "ignored", cause: "unknown" }]);
  expect(lane.send(kill(a, 4, 1))).toEqual([{ kind: "ignored", cause: "unknown" }]);
  expect(lane.lane.phase.kind).toBe("proving");
});

test("a fence is at most as late as any fence may be", () => {
  const lane = proving(Number.MAX_VALUE);
  lane.send(adopt(b, 9, Number.MAX_VALUE));
  expect(nextTickMs(lane.share)).toBe(limits.fenceMsMax);
});

test("commands of several doors are carried out once each, in the order in which they come", () => {
  const lane = new SharedLane();
  const drain = (door: Peer, number: number, isDrained: boolean) =>
    lane.send({ kind: "command", door, number, command: { kind: "drain", isDrained } });
  drain(a, 1, true);
  drain(b, 1, false);
  expect(drain(a, 1, true)).toEqual([{ kind: "ignored", cause: "repeated" }]);
  lane.settle();
  lane.settle();
  expect(lane.lane).toMatchObject({ isDrained: false, commandsDone: 2 });
  const done = reports(lane.effects).at(-1)?.commandsDone;
  expect(done).toEqual([
    { door: b, number: 1 },
    { door: a, number: 1 },
  ]);
  expect(drain(a, 1, true)).toEqual([{ kind: "ignored", cause: "repeated" }]);
});

test("no more than a bounded number of commands, owners and doors is remembered", () => {
  const lane = proving();
  for (let number = 1; number <= 100; number++) {
    const door = { id: `d${number}`, run: "0".repeat(16) };
    lane.send(adopt(door, 1));
    const command = { kind: "drain", isDrained: false } as const;
    lane.send({ kind: "command", door, number, command });
  }
  expect(lane.share.attempt?.owners).toHaveLength(limits.ownersMax);
  expect(lane.share.pending).toHaveLength(limits.laneCommandsMax);
  lane.settle();
  expect(lane.share.doors.length).toBeLessThanOrEqual(limits.doorsMax);
  for (let run = 1; run <= 100; run++) {
    lane.send(kill({ id: "x", run: String(run).padStart(16, "0") }, 1, 0));
  }
  expect(lane.share.doors.filter(({ id }) => id === "x")).toHaveLength(2);
});

test("a door under many runs leaves room for the other doors that adopt", () => {
  const lane = proving();
  for (let run = 1; run <= 100; run++) {
    lane.send(adopt({ id: "x", run: String(run).padStart(16, "0") }, 1, 3000));
  }
  expect(kinds(lane.send(adopt(b, 9, 3000)))).toEqual(["announce"]);
  expect(lane.share.attempt?.owners.map(({ id }) => id)).toEqual(["a", "x", "x", "b"]);
});

test("a lane of a host that ends stays drained", () => {
  const lane = new SharedLane();
  expect(reports(lane.send({ kind: "close" }))[0]).toMatchObject({ isDrained: true });
  const undrain = { kind: "drain", isDrained: false } as const;
  lane.settle();
  const refused = lane.send({ kind: "command", door: a, number: 1, command: undrain });
  expect(refused).toEqual([{ kind: "ignored", cause: "full" }]);
  expect(reports(lane.send(assign(a, 5, 1)))[0]).toMatchObject({ lease: 2, isDrained: true });
});

test("what the lane below has not acted on is sent to it again", () => {
  const lane = new SharedLane();
  const { heard } = lane.share;
  if (heard === null) throw new Error("the lane has not announced itself");
  const again = (sequence: number) => {
    const announcement = { ...heard, sequence };
    return kinds(lane.send({ kind: "announced", announcement })).at(-1);
  };
  lane.send(assign(a, 5, 1));
  lane.send({ kind: "fetched", attempt: 1 });
  expect(again(100)).toBe("assign");
  lane.send(kill(a, 5, 1));
  expect(again(101)).toBe("kill");
  lane.send({ kind: "command", door: a, number: 1, command: { kind: "drain", isDrained: true } });
  expect(again(102)).toBe("command");
});
