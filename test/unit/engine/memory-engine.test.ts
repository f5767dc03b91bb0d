/** The engine in memory: what every engine does, and the weather between its connections. */
import { expect, test } from "vitest";
import { systemClock } from "../../../server/clock.js";
import { MemoryBroker } from "../../../server/engine/memory-engine.js";
import type { MemoryEngine, Passage } from "../../../server/engine/memory-engine.js";
import { VirtualClock } from "../../../tools/sim/virtual-clock.js";
import { engineContract } from "../../helpers/engine-contract.js";

engineContract("engine in memory", async () => {
  const broker = new MemoryBroker({ clock: systemClock });
  const engines: MemoryEngine[] = [];
  return {
    connect: async (name) => {
      const engine = broker.connect(name);
      engines.push(engine);
      return engine;
    },
    settle: async () => {},
    breakDown: async () => engines.forEach((each) => each.cut()),
    repair: async () => engines.forEach((each) => each.restore()),
    close: async () => void (await Promise.all(engines.map((each) => each.close()))),
  };
});

const byte = (value: number) => new Uint8Array([value]);

test("the weather loses, doubles and delays each message for each of its receivers", async () => {
  const clock = new VirtualClock();
  const passages: Passage[] = [];
  const fates: Record<number, readonly number[]> = { 1: [], 2: [0, 0], 3: [7], 4: [0] };
  const weather = (passage: Passage) => {
    passages.push(passage);
    return passage.to === "cut" ? [] : (fates[passage.bytes[0] ?? 0] ?? [0]);
  };
  const broker = new MemoryBroker({ clock, weather });
  const [a, b, cut] = ["a", "b", "cut"].map((name) => broker.connect(name));
  const heard: (number | undefined)[] = [];
  b?.subscribe("x", ({ bytes }) => heard.push(bytes[0]));
  cut?.subscribe("x", () => expect.unreachable());
  for (const value of [1, 2, 3, 4]) a?.publish("x", byte(value));
  await clock.runUntil(7, () => {});
  expect(heard).toEqual([2, 2, 4, 3]);
  expect(clock.nowMs()).toBe(7);
  expect(passages.length).toBe(8);
  expect(passages[0]).toMatchObject({ from: "a", to: "b", subject: "x" });
});

test("an answer goes through the weather too, and a time-out runs on the asker's clock", async () => {
  const clock = new VirtualClock();
  const broker = new MemoryBroker({ clock, weather: ({ to }) => (to === "a" ? [] : [0]) });
  const [a, b] = [broker.connect("a"), broker.connect("b")];
  b.subscribe("x", ({ answer }) => answer?.(byte(1)));
  const asked = expect(a.request("x", byte(0), 50)).rejects.toMatchObject({ kind: "timeout" });
  await clock.runUntil(50, () => {});
  await asked;
});

test("a frozen process hears later what came meanwhile, in its order", async () => {
  const broker = new MemoryBroker({ clock: new VirtualClock() });
  const kept: (() => void)[] = [];
  const frozen = broker.connect("frozen", { post: (deliver) => void kept.push(deliver) });
  const other = broker.connect("other");
  const heard: (number | undefined)[] = [];
  frozen.subscribe("x", ({ bytes }) => heard.push(bytes[0]));
  for (const value of [1, 2]) other.publish("x", byte(value));
  expect(heard).toEqual([]);
  for (const deliver of kept) deliver();
  expect(heard).toEqual([1, 2]);
});

test("while the servers stand still nothing arrives, and no probe is answered", async () => {
  const broker = new MemoryBroker({ clock: new VirtualClock() });
  const [a, b] = [broker.connect("a"), broker.connect("b")];
  const heard: (number | undefined)[] = [];
  b.subscribe("x", ({ bytes }) => heard.push(bytes[0]));
  broker.freeze();
  a.publish("x", byte(1));
  let isAnswered = false;
  const probed = a.probe().then(() => (isAnswered = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect([heard, isAnswered, a.status.isUp]).toEqual([[], false, true]);
  broker.thaw();
  await probed;
  expect(heard).toEqual([1]);
});

test("a receiver keeps its bytes when the sender reuses its own", async () => {
  const broker = new MemoryBroker({ clock: new VirtualClock() });
  const [a, b] = [broker.connect("a"), broker.connect("b")];
  const got = new Promise<Uint8Array>((resolve) => {
    b.subscribe("x", ({ bytes }) => resolve(bytes));
  });
  const mine = byte(1);
  a.publish("x", mine);
  mine[0] = 2;
  expect(await got).toEqual(byte(1));
});
