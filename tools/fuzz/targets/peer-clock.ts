/**
 * Beats of a peer that says anything, each of eleven bytes: how far the clock goes on, what the peer
 * says its clock is, and its run. What is translated is a number, and early by at most the way of the
 * fastest of the last five beats that count.
 */
import type { PeerClock } from "../../../server/fleet/door/peer-clock.js";
import { heardBeat, toPeer, unheardClock } from "../../../server/fleet/door/peer-clock.js";
import type { FuzzTarget } from "../engine/target.js";
import { holds } from "../engine/target.js";

const BEAT_BYTES = 11;
/** Far beyond any clock; the codec lets no more pass. */
const INSTANT_MAX = Number.MAX_SAFE_INTEGER;

function beat(afterMs: number, peerNowMs: number, run = 0): Buffer {
  const bytes = Buffer.alloc(BEAT_BYTES);
  bytes.writeUInt16LE(afterMs, 0);
  bytes.writeUInt8(run, 2);
  bytes.writeDoubleLE(peerNowMs, 3);
  return bytes;
}

const beats = (...all: readonly Buffer[]) => new Uint8Array(Buffer.concat(all));

export const target: FuzzTarget = {
  name: "peer-clock",
  bytesMax: BEAT_BYTES * 500,
  msMax: 25,
  msPerKb: 5,
  seeds: () => [
    beats(...Array.from({ length: 20 }, (_, at) => beat(100, 1000 + at * 100))),
    beats(...Array.from({ length: 20 }, (_, at) => beat(100, at < 9 ? at * 100 : at * 100 - 400))),
    beats(beat(100, 5), beat(40_000, 10), beat(100, 1e15, 1), beat(0, -1e15, 1)),
  ],
  open: () => ({ run }),
};

function run(input: Uint8Array): void {
  const view = Buffer.from(input);
  let clock: PeerClock = unheardClock;
  let nowMs = 1e6;
  const last: Heard[] = [];
  for (let at = 0; at + BEAT_BYTES <= view.length; at += BEAT_BYTES) {
    const peerNowMs = view.readDoubleLE(at + 3);
    if (!(Math.abs(peerNowMs) <= INSTANT_MAX)) continue;
    nowMs += view.readUInt16LE(at);
    const peerRun = String(view.readUInt8(at + 2) % 2);
    clock = heardBeat(clock, { run: peerRun, nowMs: peerNowMs }, nowMs);
    last.push({ run: peerRun, offsetMs: nowMs - peerNowMs, atMs: nowMs });
    check(clock, nowMs, last.slice(-Math.min(5, clock.count)));
  }
}

interface Heard {
  run: string;
  offsetMs: number;
  atMs: number;
}

/** How long beats count, and how far clocks drift apart in that time, both ways. */
const WINDOW_MS = 30_000;
const DRIFT_MS = 2 * 200e-6 * WINDOW_MS;

function check(clock: PeerClock, nowMs: number, last: readonly Heard[]): void {
  holds(clock.beats.length <= 65 && clock.odd.length < 5, "what is remembered is bounded");
  const translated = toPeer(clock, nowMs, nowMs);
  if (translated === undefined) return;
  holds(Number.isFinite(translated), "an instant is a number");
  const counting = last.filter(
    ({ run: of, atMs }) => of === clock.run && nowMs - atMs <= WINDOW_MS,
  );
  if (counting.length < last.length) return;
  const least = Math.min(...counting.map(({ offsetMs }) => offsetMs));
  const slackMs = DRIFT_MS + Math.abs(least) * 1e-12;
  holds(nowMs - translated <= least + slackMs, "early by the fastest beat at most");
}
