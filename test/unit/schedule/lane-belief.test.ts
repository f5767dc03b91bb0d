/** The scheduler's belief of a lane: every attempt's end counts once, whatever the messages do. */
import { expect, test } from "vitest";
import { abandon, assign, hear, unknownLane } from "../../../server/schedule/lane-belief.js";
import type { LaneBelief } from "../../../server/schedule/lane-belief.js";
import type { Announcement, FromLink, LaneReport } from "../../../server/lane/lane-messages.js";

/** The sequence grows with the lease unless a test says otherwise. */
function announce(lease: number, changes: Partial<LaneReport>, sequence = lease): Announcement {
  return { kind: "announce", sequence, ...unknownLane.report, lease, ...changes };
}
const idleAt = (lease: number, sequence = lease) =>
  announce(lease, { phase: { kind: "idle" } }, sequence);
const proving = announce(3, { phase: { kind: "proving", attempt: 7, proof: null } }, 3.5);
const ended: FromLink = {
  kind: "ended",
  attempt: 7,
  result: { kind: "rejected", leftOut: [] },
};
const held = assign(hear(unknownLane, idleAt(3)).belief, 7);

function effectsOf(messages: readonly FromLink[], from: LaneBelief = held) {
  let belief = from;
  return messages.flatMap((message) => {
    const next = hear(belief, message);
    ({ belief } = next);
    return next.effects.map(({ kind }) => kind);
  });
}

test("a result counts once, and the next lease makes the lane idle again", () => {
  expect(effectsOf([ended, ended, idleAt(4), ended])).toEqual(["deliver"]);
  expect(hear(held, idleAt(4)).belief).toMatchObject({
    duty: { kind: "idle" },
    report: { lease: 4 },
  });
});

test("an announcement of an earlier lease is stale", () => {
  expect(hear(held, idleAt(2))).toEqual({ belief: held, effects: [] });
});

test("of one lease too, only an announcement that was sent later changes anything", () => {
  expect(effectsOf([idleAt(3)])).toEqual([]);
  const drained = announce(3, { phase: { kind: "idle" }, isDrained: true }, 5);
  const { belief } = hear(unknownLane, drained);
  expect(belief.duty.kind).toBe("down");
  expect(hear(belief, idleAt(3, 4)).belief).toEqual(belief);
});

test("a lane past an attempt whose result has not come has lost it; the late result is nothing", () => {
  expect(effectsOf([idleAt(4), ended])).toEqual(["lost"]);
});

test("a lane that does not know of its assignment gets it again; one that proves it does not", () => {
  expect(effectsOf([idleAt(3, 3.1)])).toEqual(["resend_assign"]);
  expect(effectsOf([proving])).toEqual([]);
});

test("an attempt that never reached the lane ends once, and the lane is down until it is heard", () => {
  const missed = { kind: "missed", attempt: 7 } as const;
  expect(effectsOf([missed, missed, ended, idleAt(4)])).toEqual(["missed"]);
  const { belief } = hear(held, missed);
  expect(belief.duty).toEqual({ kind: "down" });
  expect(hear(belief, idleAt(3, 3.1)).belief.duty).toEqual({ kind: "idle" });
  expect(effectsOf([missed], abandon(held, "fence"))).toEqual([]);
  expect(effectsOf([{ ...missed, attempt: 6 }])).toEqual([]);
});

test("a killed attempt is never delivered nor lost, and the kill is repeated until it is heard", () => {
  const killed = abandon(held, "fence");
  expect(effectsOf([proving, ended, idleAt(4)], killed)).toEqual(["kill"]);
});

const provingOf = (attempt: number | null, lease: number, sequence: number) =>
  announce(lease, { phase: { kind: "proving", attempt, proof: null } }, sequence);

test("a lane that proves another door's attempt is taken until its next lease", () => {
  const { belief } = hear(unknownLane, provingOf(null, 3, 3));
  expect(belief.duty).toEqual({ kind: "taken" });
  expect(() => assign(belief, 8)).toThrow("a lane that is taken takes no attempt");
  expect(hear(belief, idleAt(4)).belief.duty).toEqual({ kind: "idle" });
});

test("another door was first under the lease: the attempt is taken, not lost, and once", () => {
  const first = hear(held, provingOf(null, 3, 3.5));
  expect(first.effects).toEqual([{ kind: "taken", attempt: 7 }]);
  expect(first.belief.duty).toEqual({ kind: "taken" });
  expect(effectsOf([provingOf(null, 3, 3.6), ended, idleAt(4)], first.belief)).toEqual([]);
});

test("a lane that has forgotten this door's killed attempt goes on for another door", () => {
  const killed = abandon(held, "cancelled");
  const { belief, effects } = hear(killed, provingOf(null, 3, 3.5));
  expect(effects).toEqual([]);
  expect(belief.duty).toEqual({ kind: "taken" });
});

test("an attempt of this door that it does not know is killed until it ends", () => {
  const first = hear(unknownLane, provingOf(5, 3, 3));
  expect(first.effects).toEqual([{ kind: "kill", attempt: 5, reason: "cancelled" }]);
  expect(effectsOf([provingOf(5, 3, 4), idleAt(4, 5)], first.belief)).toEqual(["kill"]);
  // One that took the lease before the attempt that was assigned now.
  expect(effectsOf([provingOf(5, 3, 3.5), provingOf(5, 3, 3.6)])).toEqual([
    "taken",
    "kill",
    "kill",
  ]);
});

test("an attempt that this door has adopted is not killed", () => {
  const { belief, effects } = hear(unknownLane, provingOf(5, 3, 3), (attempt) => attempt === 5);
  expect(effects).toEqual([]);
  expect(belief.duty).toEqual({ kind: "taken" });
});

test("a lane that is stopping comes back soon where a standby is ready, unless it closes", () => {
  const dutyIn = (changes: Partial<LaneReport>) =>
    hear(unknownLane, announce(1, changes)).belief.duty.kind;
  const phase = { kind: "stopping", cause: "fence" } as const;
  expect(dutyIn({ phase, isStandbyReady: true })).toBe("back_soon");
  expect(dutyIn({ phase, isStandbyReady: false })).toBe("down");
  expect(dutyIn({ phase: { kind: "stopping", cause: "closed" }, isStandbyReady: true })).toBe(
    "down",
  );
});
