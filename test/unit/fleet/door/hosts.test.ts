/** A door judges a lane host by what it hears, and only while it could have heard it. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { HostEffect, HostEvent, HostLife } from "../../../../server/fleet/door/hosts.js";
import {
  dueAtMs,
  isForgettable,
  transitionHost,
  twinOf,
  unheardHost,
} from "../../../../server/fleet/door/hosts.js";

const RUN = "00000000000000aa";
const OTHER_RUN = "00000000000000bb";
const heard: HostEvent = { kind: "heard", run: RUN };

/** A host that is given events, with the effects so far. */
class Subject {
  life: HostLife = unheardHost;
  readonly effects: (HostEffect & { atMs: number })[] = [];

  step(event: HostEvent, nowMs: number): this {
    const { host, effects } = transitionHost(this.life, event, nowMs);
    this.life = host;
    this.effects.push(...effects.map((effect) => ({ ...effect, atMs: nowMs })));
    return this;
  }

  /** Ticks whenever one is due, up to the instant; each ping is answered by `answer`, if any. */
  runTo(untilMs: number, answer?: HostEvent): this {
    for (let due = dueAtMs(this.life); due <= untilMs; due = dueAtMs(this.life)) {
      const pings = this.pings().length;
      this.step({ kind: "tick" }, due);
      if (answer !== undefined && this.pings().length > pings) this.step(answer, due);
    }
    return this;
  }

  pings() {
    return this.effects.filter(({ kind }) => kind === "ping");
  }

  gone() {
    return this.effects.flatMap((each) =>
      each.kind === "gone" ? [{ cause: each.cause, atMs: each.atMs }] : [],
    );
  }
}

test("a host joins with its first message, and once while it is heard", () => {
  const host = new Subject();
  for (let at = 0; at < 3000; at += 100) host.runTo(at).step(heard, at);
  expect(host.effects).toEqual([{ kind: "joined", run: RUN, atMs: 0 }]);
});

test("a host that nobody listens for has vanished 300 ms after its last message", () => {
  const host = new Subject().step(heard, 0).runTo(5000, { kind: "nobody" });
  expect(host.gone()).toEqual([{ cause: "vanished", atMs: 300 }]);
});

test("one answer that nobody listens is no end: it may be a restart of the engine's server", () => {
  const host = new Subject().step(heard, 0).runTo(200, { kind: "nobody" }).step(heard, 250);
  host.runTo(450, { kind: "nobody" }).step(heard, 460);
  expect(host.gone()).toEqual([]);
});

test("two answers at once that nobody listens count as one", () => {
  const host = new Subject().step(heard, 0).runTo(200).step({ kind: "nobody" }, 210);
  host.step({ kind: "nobody" }, 211);
  expect(host.gone()).toEqual([]);
});

test("a host whose pings stay without answer is silent after a second", () => {
  const host = new Subject().step(heard, 0).runTo(5000);
  expect(host.pings().map(({ atMs }) => atMs)).toEqual([200, 300, 400, 500, 600, 700, 800, 900]);
  expect(host.gone()).toEqual([{ cause: "silent", atMs: 1000 }]);
  expect(dueAtMs(host.life)).toBe(Infinity);
});

test("while the door's engine is down no host is judged, and its time starts anew after", () => {
  const host = new Subject().step(heard, 0).step({ kind: "engine", isUp: false }, 150);
  expect(dueAtMs(host.life)).toBe(Infinity);
  host.step({ kind: "tick" }, 5000).step({ kind: "nobody" }, 5001);
  host.step({ kind: "engine", isUp: true }, 6000);
  // The answer to a ping that was sent before the engine went down.
  host.step({ kind: "nobody" }, 6001).runTo(6999);
  expect(host.gone()).toEqual([]);
  expect(host.runTo(8000).gone()).toEqual([{ cause: "silent", atMs: 7000 }]);
});

test("a door whose loop stood still blames no host", () => {
  const host = new Subject().step(heard, 0).step({ kind: "stood_still" }, 3000);
  host.step({ kind: "tick" }, 3000).step(heard, 3001);
  expect(host.effects).toEqual([{ kind: "joined", run: RUN, atMs: 0 }]);
});

test("another run of the host ends the earlier one, whose late messages are then ignored", () => {
  const host = new Subject().step(heard, 0).step({ kind: "heard", run: OTHER_RUN }, 50);
  host.step(heard, 60).step({ kind: "heard", run: OTHER_RUN }, 100);
  expect(host.effects.map(({ kind, atMs }) => ({ kind, atMs }))).toEqual([
    { kind: "joined", atMs: 0 },
    { kind: "gone", atMs: 50 },
    { kind: "joined", atMs: 50 },
  ]);
  expect(host.gone()).toEqual([{ cause: "restarted", atMs: 50 }]);
});

test("a name of which every message is of another run costs its door a few changes, not each", () => {
  const host = new Subject();
  const run = (nth: number) => String(nth).padStart(16, "0");
  for (let nth = 0; nth < 1000; nth++) host.step({ kind: "heard", run: run(nth) }, nth);
  expect(host.gone()).toHaveLength(4);
  expect(host.step({ kind: "heard", run: run(4) }, 1001).life.phase).toMatchObject({
    run: run(4),
    heardAtMs: 1001,
  });
  host.step({ kind: "heard", run: run(1000) }, 10_020);
  expect(host.gone()).toHaveLength(5);
});

test("a host that says bye is gone at once, and its late messages do not bring it back", () => {
  const host = new Subject().step(heard, 0).step({ kind: "bye", run: RUN }, 10).step(heard, 20);
  expect(host.gone()).toEqual([{ cause: "ended", atMs: 10 }]);
  expect(host.life.phase.kind).toBe("away");
});

test("a bye of an earlier run does not end the present one", () => {
  const host = new Subject().step(heard, 0).step({ kind: "bye", run: OTHER_RUN }, 10);
  expect(host.gone()).toEqual([]);
});

test("a silent host that is heard again joins as a new one, in the same run", () => {
  const host = new Subject().step(heard, 0).runTo(1500).step(heard, 1600);
  expect(host.effects.filter(({ kind }) => kind !== "ping").map(({ kind }) => kind)).toEqual([
    "joined",
    "gone",
    "joined",
  ]);
});

test("a host is forgotten once its runs have ended long ago", () => {
  const { life } = new Subject().step(heard, 0).step({ kind: "bye", run: RUN }, 10);
  expect(isForgettable(life, 5000)).toBe(false);
  expect(isForgettable(life, 10_010)).toBe(true);
});

test("over any events, joined and gone alternate, and a host heard each 100 ms is never gone", () => {
  const runs = [RUN, OTHER_RUN] as const;
  const event: fc.Arbitrary<HostEvent> = fc.oneof(
    fc.record({ kind: fc.constant("heard" as const), run: fc.constantFrom(...runs) }),
    fc.record({ kind: fc.constant("bye" as const), run: fc.constantFrom(...runs) }),
    fc.record({ kind: fc.constant("engine" as const), isUp: fc.boolean() }),
    fc.constantFrom<HostEvent>({ kind: "nobody" }, { kind: "tick" }, { kind: "stood_still" }),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(event, fc.nat(400)), { maxLength: 100 }), (steps) => {
      const host = new Subject();
      let nowMs = 0;
      for (const [each, laterMs] of steps) {
        nowMs += laterMs;
        host.step(each, nowMs);
      }
      const kinds = host.effects
        .map(({ kind }) => kind)
        .filter((kind) => kind === "joined" || kind === "gone");
      expect(kinds).toEqual(kinds.map((_, at) => (at % 2 === 0 ? "joined" : "gone")));
      expect(host.life.ended.length).toBeLessThanOrEqual(4);

      // From here on it is heard in time, whatever came before.
      const fresh = "00000000000000cc";
      host.step({ kind: "engine", isUp: true }, nowMs);
      host.step({ kind: "heard", run: fresh }, nowMs);
      const { length } = host.gone();
      for (let at = nowMs; at < nowMs + 2000; at += 100) {
        host.runTo(at, { kind: "nobody" }).step({ kind: "heard", run: fresh }, at);
      }
      expect(host.gone()).toHaveLength(length);
    }),
  );
});

test("two hosts of one id are reported every 10 s, and do not replace each other", () => {
  const host = new Subject().step(heard, 0);
  const other: HostEvent = { kind: "heard", run: OTHER_RUN };
  for (let at = 100; at <= 30_000; at += 100)
    host
      .runTo(at)
      .step(other, at)
      .step(heard, at + 50);
  expect(host.gone()).toEqual([{ cause: "restarted", atMs: 100 }]);
  const twins = host.effects.filter(({ kind }) => kind === "twin");
  expect(twins.map(({ atMs }) => atMs)).toEqual([1150, 11_150, 21_150]);
  expect(twins).toContainEqual({ kind: "twin", run: RUN, atMs: 1150 });
  expect(twinOf(host.life, 30_050)).toBe(RUN);
  expect(twinOf(host.life, 31_050)).toBeUndefined();
});

test("of two hosts of one id, the one that goes on is heard at once", () => {
  const host = new Subject().step(heard, 0);
  const other: HostEvent = { kind: "heard", run: OTHER_RUN };
  for (let at = 100; at <= 3000; at += 100)
    host
      .runTo(at)
      .step(other, at)
      .step(heard, at + 50);
  for (let at = 3100; at <= 5000; at += 100) host.runTo(at).step(heard, at);
  expect(host.gone().map(({ cause }) => cause)).toEqual(["restarted", "silent"]);
  expect(host.effects.at(-1)).toEqual({ kind: "joined", run: RUN, atMs: 4000 });
});

test("late messages of a run that was replaced are no second host", () => {
  const host = new Subject().step(heard, 0).step({ kind: "heard", run: OTHER_RUN }, 100);
  host.step(heard, 900);
  expect(host.effects.filter(({ kind }) => kind === "twin")).toEqual([]);
});
