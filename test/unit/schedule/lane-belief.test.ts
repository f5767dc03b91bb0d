/** The scheduler's belief of a lane: every attempt's end counts once, whatever the messages do. */
import { expect, test } from "vitest";
import { abandon, assign, hear, unknownLane } from "../../../server/schedule/lane-belief.js";
import type { LaneBelief } from "../../../server/schedule/lane-belief.js";
import type { FromLane } from "../../../server/lane/lane-messages.js";

const idleAt = (lease: number): FromLane => ({
  kind: "announce",
  lease,
  status: "idle",
  attempt: null,
});
const ended: FromLane = {
  kind: "ended",
  attempt: 7,
  result: { kind: "rejected", leftOut: [] },
};
const held = assign(hear(unknownLane, idleAt(3)).belief, 7);

function effectsOf(messages: readonly FromLane[], from: LaneBelief = held) {
  let belief = from;
  return messages.flatMap((message) => {
    const next = hear(belief, message);
    ({ belief } = next);
    return next.effects.map(({ kind }) => kind);
  });
}

test("a result counts once, and the next lease makes the lane idle again", () => {
  expect(effectsOf([ended, ended, idleAt(4), ended])).toEqual(["deliver"]);
  expect(hear(held, idleAt(4)).belief).toEqual({ kind: "idle", lease: 4 });
});

test("an announcement of an earlier lease is stale", () => {
  expect(hear(held, idleAt(2))).toEqual({ belief: held, effects: [] });
});

test("a lane past an attempt whose result has not come has lost it; the late result is nothing", () => {
  expect(effectsOf([idleAt(4), ended])).toEqual(["lost"]);
});

test("a lane that does not know of its assignment gets it again; one that proves it does not", () => {
  expect(effectsOf([idleAt(3)])).toEqual(["resend_assign"]);
  expect(effectsOf([{ kind: "announce", lease: 3, status: "proving", attempt: 7 }])).toEqual([]);
});

test("a killed attempt is never delivered nor lost, and the kill is repeated until it is heard", () => {
  const killed = abandon(held, "fence");
  const proving: FromLane = { kind: "announce", lease: 3, status: "proving", attempt: 7 };
  expect(effectsOf([proving, ended, idleAt(4)], killed)).toEqual(["resend_kill"]);
});
