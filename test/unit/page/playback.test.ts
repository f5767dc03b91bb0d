/** A recording in the page's model: what is shown at an instant is what had happened by then. */
import { expect, test } from "vitest";
import { answerOf } from "../../../page/model/answer.js";
import { PlayClock } from "../../../page/model/play-clock.js";
import { Playback } from "../../../page/model/playback.js";

/** The run's clock starts at 0, at this instant of 1970. */
const START = 1_700_000_000_000;

const accepted = (slot: number, atMs: number) => ({
  atMs,
  accepted: {
    ...{ sessionId: `s${slot}`, requestId: `r${slot}`, nodeId: "node", slot: String(slot) },
    ...{ receivedAtMs: atMs, deadlineAtMs: atMs + 750, fenceAtMs: atMs + 4000 },
    groups: [{ votes: 4, rawSignatures: 4 }],
  },
});
const started = (slot: number, atMs: number) => ({
  atMs,
  started: { sessionId: `s${slot}`, attempt: slot, deviceId: "cpu" },
});
const ended = (slot: number, atMs: number) => ({
  atMs,
  ended: {
    ...{ sessionId: `s${slot}`, status: "OUTCOME_STATUS_PROVED" },
    ...{ votes: { proved: [4] }, proveMs: 100 },
  },
});
const answer = (nowMs: number, activities: object[], rest: object = {}) =>
  answerOf({
    ...{ nowMs, nowUnixMs: START + nowMs, run: "one", serviceId: "here", recorded: true },
    devices: [{ status: { deviceId: "cpu", state: "DEVICE_STATE_IDLE" } }],
    ...{ activities, ...rest },
  });

/** Slots 1 to 4, one a second; each is proved 300 ms after it came. */
function recording(activitiesMax?: number): Playback {
  const playback = new Playback(activitiesMax);
  for (const slot of [1, 2, 3, 4]) {
    const atMs = slot * 1000;
    const activities = [accepted(slot, atMs), started(slot, atMs + 100), ended(slot, atMs + 300)];
    playback.take(answer(atMs + 900, activities));
  }
  return playback;
}

const shown = ({ model }: Playback) =>
  [...model.groups.values()].map(({ session, startedAtMs, end }) => {
    const state = end?.status ?? (startedAtMs === undefined ? "waiting" : "started");
    return `${session.slot} ${state}`;
  });

test("at each instant the model has what had happened by then, in the answers too", () => {
  const playback = recording();
  expect([playback.startMs, playback.endMs]).toEqual([START + 1000, START + 4900]);
  playback.show(START + 2050);
  expect(shown(playback)).toEqual(["1 proved", "2 waiting"]);
  playback.show(START + 2100);
  expect(shown(playback)).toEqual(["1 proved", "2 started"]);
  const [, second] = playback.model.groups.values();
  expect(second?.session.fenceAtMs).toBe(START + 6000);
  playback.show(START + 2300);
  expect(shown(playback)).toEqual(["1 proved", "2 proved"]);
  expect(playback.model.devices.map(({ id }) => id)).toEqual(["cpu"]);
});

test("going back shows what was known then, however the instant is reached", () => {
  const [once, back] = [recording(), recording()];
  back.show(back.endMs);
  expect(shown(back)).toHaveLength(4);
  for (const atMs of [START + 3100, START + 1000, START + 2299, START + 999]) {
    back.show(atMs);
    const fresh = recording();
    fresh.show(atMs);
    expect(shown(back)).toEqual(shown(fresh));
  }
  for (let atMs = START; atMs <= START + 5000; atMs += 10) once.show(atMs);
  back.show(START + 5000);
  expect(shown(once)).toEqual(shown(back));
});

test("another run has another clock, and forgets the sessions of the run before", () => {
  const playback = recording();
  const later = { nowUnixMs: START + 60_500, run: "two" };
  playback.take(answer(500, [accepted(9, 200)], later));
  playback.show(START + 60_100);
  expect(shown(playback)).toHaveLength(4);
  playback.show(START + 60_200);
  expect(shown(playback)).toEqual(["9 waiting"]);
  playback.show(START + 4000);
  expect(shown(playback)).toHaveLength(4);
});

test("slots are found by when they first came, also those that were skipped", () => {
  const playback = recording();
  const skipped = { atMs: 5000, skipped: { slot: "5", reason: "SKIP_REASON_IN_FLIGHT" } };
  playback.take(answer(5100, [skipped, accepted(4, 5050)]));
  expect(playback.slots().map(({ slot, atMs }) => [slot, atMs - START])).toEqual([
    ["1", 1000],
    ["2", 2000],
    ["3", 3000],
    ["4", 4000],
    ["5", 5000],
  ]);
});

test("a long recording keeps the newest, and says how many activities are left out", () => {
  const playback = recording(7);
  expect(playback.leftOut).toBe(6);
  expect(playback.startMs).toBe(START + 3000);
  playback.show(playback.endMs);
  expect(shown(playback)).toEqual(["3 proved", "4 proved"]);
});

test("time goes on at the chosen speed, stops, jumps, and ends with the recording", () => {
  const clock = new PlayClock(1000, 9000);
  expect([clock.at(5), clock.isPlaying(5)]).toEqual([1000, false]);
  clock.play(10);
  expect(clock.at(110)).toBe(1100);
  clock.setSpeed(4, 110);
  expect(clock.at(210)).toBe(1500);
  clock.pause(210);
  expect(clock.at(10_000)).toBe(1500);
  clock.seek(8000, 10_000);
  clock.play(10_000);
  expect(clock.at(10_100)).toBe(8400);
  expect([clock.at(20_000), clock.isPlaying(20_000)]).toEqual([9000, false]);
  clock.play(20_000);
  expect([clock.at(20_000), clock.isPlaying(20_000)]).toEqual([1000, true]);
  clock.seek(-5, 20_000);
  expect(clock.at(20_000)).toBe(1000);
});

test("a jump from the end, where time had stopped, does not set it going", () => {
  const clock = new PlayClock(1000, 9000);
  clock.play(0);
  clock.seek(1000, 20_000);
  expect([clock.at(21_000), clock.isPlaying(21_000)]).toEqual([1000, false]);
  clock.play(21_000);
  expect(clock.at(22_000)).toBe(2000);
});

test("the speed changes by steps, and keeps the instant that is shown", () => {
  const clock = new PlayClock(0, 1e6);
  clock.play(0);
  const speeds = [1, 1, 1, -1, -1, -1, -1].map((by) => {
    clock.changeSpeed(by === 1 ? 1 : -1, 100);
    return clock.speed;
  });
  expect(speeds).toEqual([4, 16, 60, 16, 4, 1, 0.25]);
  expect(clock.at(100)).toBe(100);
});
