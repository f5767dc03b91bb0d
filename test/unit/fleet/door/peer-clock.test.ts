/** Instants by a peer's clock are never late, and early by little, whatever way its beats take. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { PeerClock } from "../../../../server/fleet/door/peer-clock.js";
import { heardBeat, toPeer, unheardClock } from "../../../../server/fleet/door/peer-clock.js";

const RUN = "00000000000000a0";
const EVERY_MS = 100;
/** Of the peer's clock, as a share of the time. */
const DRIFT = 200e-6;

interface SentBeat {
  /** When it was sent, by this process's clock. */
  sentAtMs: number;
  wayMs: number;
}

/** A peer whose clock began at some instant, and runs a little too fast or too slow. */
const peer = fc.record({
  beganAtMs: fc.double({ min: -1e9, max: 1e9, noNaN: true }),
  drift: fc.double({ min: -DRIFT, max: DRIFT, noNaN: true }),
});
const peerNowMs = ({ beganAtMs, drift }: { beganAtMs: number; drift: number }, atMs: number) =>
  (atMs - beganAtMs) * (1 + drift) - beganAtMs * 1e-3;

const way = fc.oneof(
  { weight: 5, arbitrary: fc.double({ min: 0, max: 5, noNaN: true }) },
  { weight: 1, arbitrary: fc.double({ min: 0, max: 3000, noNaN: true }) },
);
/** Beats in the order in which they come; some are doubled, and some overtake others. */
const beats = fc
  .array(fc.record({ wayMs: way, isLost: fc.boolean(), isDoubled: fc.boolean() }), {
    minLength: 3,
    maxLength: 400,
  })
  .map((all) =>
    all
      .flatMap(({ wayMs, isLost, isDoubled }, at): SentBeat[] => {
        const sent = { sentAtMs: at * EVERY_MS, wayMs };
        if (isLost && at > 3) return [];
        return isDoubled ? [sent, { ...sent, wayMs: wayMs + 700 }] : [sent];
      })
      .sort((a, b) => receiptOf(a) - receiptOf(b)),
  );
const receiptOf = ({ sentAtMs, wayMs }: SentBeat) => sentAtMs + wayMs;

function hear(clock: PeerClock, nowMs: number, receivedAtMs: number): PeerClock {
  return heardBeat(clock, { run: RUN, nowMs }, receivedAtMs);
}

/** The clock after beats of equal ways, sent from `fromMs` on, of a peer whose clock is ours. */
function heardEvery(clock: PeerClock, count: number, fromMs: number, wayMs: number, lagMs = 0) {
  return Array.from({ length: count }, (_, at) => fromMs + at * EVERY_MS).reduce(
    (known, sentAtMs) => hear(known, sentAtMs - lagMs, sentAtMs + wayMs),
    clock,
  );
}

describe("whatever way beats take", () => {
  test("an instant is never late, and early by the fastest of the last five beats at most", () => {
    fc.assert(
      fc.property(peer, beats, fc.integer({ min: -5000, max: 120_000 }), (of, sent, aheadMs) => {
        let clock = unheardClock;
        sent.forEach((beat, at) => {
          const nowMs = receiptOf(beat);
          clock = hear(clock, peerNowMs(of, beat.sentAtMs), nowMs);
          const instantMs = nowMs + aheadMs;
          const translated = toPeer(clock, instantMs, nowMs);
          if (translated === undefined) return;
          const earlyMs = peerNowMs(of, instantMs) - translated;
          const last = sent.slice(Math.max(0, at - 4), at + 1);
          // From the beat to now, and from there to the instant, which may lie before the beat.
          const spanMs = (each: SentBeat) => nowMs - receiptOf(each) + Math.abs(aheadMs);
          const bounds = last.map((each) => each.wayMs + 2 * DRIFT * spanMs(each));
          // Instants are up to 10^9 ms: doubles have 10^-7 ms there.
          expect(earlyMs).toBeGreaterThan(-1e-4);
          expect(earlyMs).toBeLessThan(Math.min(...bounds) * (1 + DRIFT) + DRIFT * 1000 + 1e-4);
        });
      }),
    );
  });
});

test("nothing is translated before three beats, nor 30 s after the last one", () => {
  const two = heardEvery(unheardClock, 2, 0, 1);
  expect(toPeer(two, 1000, 200)).toBeUndefined();
  const three = hear(two, 200, 201);
  expect(toPeer(three, 1000, 201)).toBeCloseTo(999, 0);
  expect(toPeer(three, 40_000, 30_201)).toBeDefined();
  expect(toPeer(three, 40_000, 30_202)).toBeUndefined();
});

test("a restarted peer has another clock", () => {
  const before = heardEvery(unheardClock, 10, 0, 1);
  const after = heardBeat(before, { run: "00000000000000a1", nowMs: 5 }, 1010);
  expect(toPeer(after, 2000, 1010)).toBeUndefined();
});

test("the fastest beat of the last 30 s counts", () => {
  const fast = hear(heardEvery(unheardClock, 3, 0, 9), 300, 301);
  const slow = heardEvery(fast, 250, 400, 9);
  expect(25_400 - (toPeer(slow, 25_400, 25_400) ?? 0)).toBeLessThan(1 + DRIFT * 26_000);
  const later = heardEvery(slow, 100, 25_400, 9);
  expect(35_400 - (toPeer(later, 35_400, 35_400) ?? 0)).toBeGreaterThan(9);
});

describe("a clock that changes", () => {
  const before = heardEvery(unheardClock, 50, 0, 1);

  test("and stood still for seconds shows in its next beat", () => {
    const stood = hear(before, 5000, 9001);
    expect(toPeer(stood, 10_000, 9001)).toBeUndefined();
    const known = heardEvery(stood, 2, 9100, 1, 4000);
    expect(toPeer(known, 10_000, 9201)).toBeLessThanOrEqual(6000);
    expect(toPeer(known, 10_000, 9201)).toBeGreaterThan(5997);
  });

  test("and stood still for a moment shows after five beats", () => {
    const four = heardEvery(before, 4, 5000, 1, 300);
    expect(toPeer(four, 6000, 5301)).toBeGreaterThan(5990);
    const five = hear(four, 5400 - 300, 5401);
    expect(toPeer(five, 6000, 5401)).toBeLessThanOrEqual(5700);
    expect(toPeer(five, 6000, 5401)).toBeGreaterThan(5698);
  });

  test("and was set back shows after five beats, though none of them is newer than before", () => {
    const set = heardEvery(before, 5, 5000, 1, 60_000);
    expect(toPeer(set, 6000, 5401)).toBeLessThanOrEqual(-54_000);
    expect(toPeer(set, 6000, 5401)).toBeGreaterThan(-54_002);
  });

  test("and was set forward shows in its next beat", () => {
    const set = hear(before, 5000 + 60_000, 5001);
    expect(toPeer(set, 6000, 5001)).toBeGreaterThan(65_998);
  });

  test("and is not taken to have changed for one beat that comes late", () => {
    const late = hear(before, 4000, 5001);
    expect(toPeer(late, 6000, 5001)).toBeGreaterThan(5998);
  });
});

test("beats that waited while this process stood still show no change of the clock", () => {
  const before = heardEvery(unheardClock, 20, 0, 1);
  const waited = Array.from({ length: 30 }, (_, at) => 2000 + at * EVERY_MS).reduce(
    (clock, nowMs) => heardBeat(clock, { run: RUN, nowMs, hasWaited: true }, 5000),
    before,
  );
  expect(toPeer(waited, 6000, 5000)).toBeGreaterThan(5996);
  expect(toPeer(waited, 6000, 5000)).toBeLessThanOrEqual(6000);
  const first = heardBeat(unheardClock, { run: RUN, nowMs: 0, hasWaited: true }, 4000);
  expect(first).toEqual(unheardClock);
});

test("a peer whose beats each come later keeps no more than some of them", () => {
  let clock = unheardClock;
  for (let at = 0; at < 5000; at++) clock = hear(clock, at, at + at * 3 * DRIFT);
  expect(clock.beats.length).toBeLessThanOrEqual(65);
});
