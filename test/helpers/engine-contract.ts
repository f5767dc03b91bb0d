/** What every engine does: the same tests over the one in memory and over NATS. */
import { describe, expect, test } from "vitest";
import type { Engine, EngineMessage } from "../../server/engine/engine.js";
import { EngineError } from "../../server/engine/engine.js";
import { limits } from "../../server/limits.js";

/** One engine under test, with its servers. */
export interface EngineBench {
  /** A new connection, which is up. */
  connect(name: string): Promise<Engine>;
  /** Resolves when what all connections have subscribed to is known everywhere. */
  settle(): Promise<void>;
  /** Breaks all connections; resolves when each says that it is down. */
  breakDown(): Promise<void>;
  /** Resolves when each connection is up again. */
  repair(): Promise<void>;
  close(): Promise<void>;
}

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (message: Uint8Array) => new TextDecoder().decode(message);

/** Collects messages; `until(n)` resolves with the texts once there are `n` of them. */
function inbox() {
  const heard: EngineMessage[] = [];
  let check = () => {};
  return {
    heard,
    hear: (message: EngineMessage) => {
      heard.push(message);
      check();
    },
    until: (count: number) =>
      new Promise<string[]>((resolve) => {
        check = () => {
          if (heard.length >= count) resolve(heard.map((each) => text(each.bytes)));
        };
        check();
      }),
  };
}

const kindOf = async (request: Promise<unknown>) => {
  const error: unknown = await request.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error instanceof EngineError ? error.kind : error;
};

/** Two connections of one engine. */
interface World {
  readonly bench: EngineBench;
  readonly one: Engine;
  readonly other: Engine;
}

const promises: Record<string, (world: World) => Promise<void>> = {
  "a message reaches every other connection that subscribes to its subject": async ({
    bench,
    one,
    other,
  }) => {
    const third = await bench.connect("third");
    const [here, there, own] = [inbox(), inbox(), inbox()];
    other.subscribe("lean.a.hosts.*", here.hear);
    third.subscribe("lean.a.>", there.hear);
    one.subscribe("lean.a.hosts.*", own.hear);
    other.subscribe("lean.b.>", () => expect.unreachable());
    await bench.settle();
    one.publish("lean.a.hosts.h1", bytes("hello"));
    expect(await here.until(1)).toEqual(["hello"]);
    expect(await there.until(1)).toEqual(["hello"]);
    expect(here.heard[0]?.subject).toBe("lean.a.hosts.h1");
    expect(here.heard[0]?.answer).toBeUndefined();
    expect(here.heard[0]?.bytes).toEqual(bytes("hello"));
    expect(own.heard).toEqual([]);
  },

  "messages of one publisher come in its order, over several subjects": async ({
    bench,
    one,
    other,
  }) => {
    const got = inbox();
    other.subscribe("lean.*", got.hear);
    await bench.settle();
    const sent = Array.from({ length: 300 }, (_, at) => `${at}`);
    for (const each of sent) one.publish(`lean.${Number(each) % 3}`, bytes(each));
    expect(await got.until(300)).toEqual(sent);
  },

  "512 KB arrive as they are, and more than the limit is refused at once": async ({
    bench,
    one,
    other,
  }) => {
    const got = inbox();
    other.subscribe("lean.big", got.hear);
    await bench.settle();
    const big = new Uint8Array(512 * 1024).map((_, at) => at * 31);
    for (let count = 0; count < 8; count++) one.publish("lean.big", big);
    await got.until(8);
    for (const each of got.heard) expect(Buffer.compare(each.bytes, big)).toBe(0);
    const tooBig = new Uint8Array(limits.enginePayloadBytesMax + 1);
    expect(() => one.publish("lean.big", tooBig)).toThrow(RangeError);
    await expect(one.request("lean.big", tooBig, 1000)).rejects.toThrow(RangeError);
  },

  "an invalid subject is refused where it is used": async ({ one }) => {
    expect(() => one.publish("lean.*", bytes(""))).toThrow(RangeError);
    expect(() => one.subscribe("lean..x", () => {})).toThrow(RangeError);
    await expect(one.request("", bytes(""), 1000)).rejects.toThrow(RangeError);
  },

  "a request gets the first answer, and the others are left": async ({ bench, one, other }) => {
    other.subscribe("lean.ask", ({ bytes: question, answer }) => {
      answer?.(bytes(`${text(question)}!`));
      answer?.(bytes("again"));
    });
    await bench.settle();
    expect(text(await one.request("lean.ask", bytes("well"), 5000))).toBe("well!");
    expect((await one.request("lean.ask", new Uint8Array(), 5000)).length).toBe(1);
  },

  "an empty answer is an answer": async ({ bench, one, other }) => {
    other.subscribe("lean.ask", ({ answer }) => answer?.(new Uint8Array()));
    await bench.settle();
    expect((await one.request("lean.ask", bytes("well"), 5000)).length).toBe(0);
  },

  "a request that nobody hears is gone at once, also after the hearer left": async ({
    bench,
    one,
    other,
  }) => {
    expect(await kindOf(one.request("lean.ask", bytes(""), 60_000))).toBe("gone");
    one.subscribe("lean.ask", () => {});
    await bench.settle();
    expect(await kindOf(one.request("lean.ask", bytes(""), 60_000))).toBe("gone");
    const stop = other.subscribe("lean.ask", ({ answer }) => answer?.(bytes("")));
    await bench.settle();
    expect(await kindOf(one.request("lean.ask", bytes(""), 60_000))).toBeUndefined();
    stop();
    await bench.settle();
    expect(await kindOf(one.request("lean.ask", bytes(""), 60_000))).toBe("gone");
  },

  "a request that nobody answers runs out of time": async ({ bench, one, other }) => {
    other.subscribe("lean.ask", () => {});
    await bench.settle();
    expect(await kindOf(one.request("lean.ask", bytes(""), 20))).toBe("timeout");
  },

  "a subscription that was ended hears nothing more": async ({ bench, one, other }) => {
    const [got, rest] = [inbox(), inbox()];
    const stop = other.subscribe("lean.x", got.hear);
    other.subscribe("lean.*", rest.hear);
    await bench.settle();
    one.publish("lean.x", bytes("1"));
    await rest.until(1);
    stop();
    await bench.settle();
    one.publish("lean.x", bytes("2"));
    await rest.until(2);
    expect(got.heard.length).toBe(1);
  },

  "a probe is answered, and ends with the connection": async ({ bench, one }) => {
    await one.probe();
    const asked = one.probe();
    await bench.breakDown();
    await asked;
    await one.probe();
    await bench.repair();
    await one.probe();
  },

  "what is sent while the engine is down is lost, and subscriptions hold": async ({
    bench,
    one,
    other,
  }) => {
    const got = inbox();
    other.subscribe("lean.x", got.hear);
    await bench.settle();
    const states: boolean[] = [];
    one.onStatus(() => states.push(one.status.isUp));
    const asked = kindOf(one.request("lean.x", bytes("waits"), 60_000));
    await got.until(1);
    await bench.breakDown();
    expect(await asked).toBe("down");
    expect(one.status.isUp).toBe(false);
    one.publish("lean.x", bytes("lost"));
    expect(await kindOf(one.request("lean.x", bytes("lost"), 60_000))).toBe("down");
    await bench.repair();
    await bench.settle();
    one.publish("lean.x", bytes("after"));
    expect(await got.until(2)).toEqual(["waits", "after"]);
    expect([states[0], states.at(-1)]).toEqual([false, true]);
  },

  "a close sends what was published, and may be called twice": async ({ bench, one, other }) => {
    const got = inbox();
    other.subscribe("lean.x", got.hear);
    await bench.settle();
    for (let at = 0; at < 50; at++) one.publish("lean.x", new Uint8Array(100_000));
    await Promise.all([one.close(), one.close()]);
    await one.close();
    await got.until(50);
    expect(one.status).toEqual({ isUp: false, detail: "closed" });
    one.publish("lean.x", bytes("lost"));
    expect(await kindOf(one.request("lean.x", bytes(""), 1000))).toBe("down");
  },
};

export function engineContract(name: string, open: () => Promise<EngineBench>): void {
  describe(name, () => {
    test.for(Object.entries(promises))("%s", async ([, keep]) => {
      const bench = await open();
      try {
        const [one, other] = [await bench.connect("one"), await bench.connect("other")];
        await keep({ bench, one, other });
      } finally {
        await bench.close();
      }
    });
  });
}
