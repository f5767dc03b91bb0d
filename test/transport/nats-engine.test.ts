/** The engine over real servers: what every engine does, and what a cluster's failures look like. */
import { expect, test } from "vitest";
import { systemClock } from "../../server/clock.js";
import type { Engine } from "../../server/engine/engine.js";
import { loadNats } from "../../server/engine/nats-dial.js";
import type { NatsEngineOptions } from "../../server/engine/nats-engine.js";
import { openNatsEngine } from "../../server/engine/nats-engine.js";
import { subjects } from "../../server/fleet/wire/subjects.js";
import { createLog } from "../../server/log/log.js";
import { startNats } from "../../tools/harness/processes/nats.js";
import { engineContract } from "../helpers/engine-contract.js";

const noTls = { ca: undefined, certificate: undefined, key: undefined };
const modules = { clock: systemClock, log: createLog("silent"), random: () => 0 };

type InboxOf = NatsEngineOptions["inboxOf"];
const open = (name: string, servers: readonly string[], inboxOf: InboxOf = () => "inbox") =>
  openNatsEngine({ name, servers, inboxPrefix: `inbox.${name}`, inboxOf, tls: noTls }, modules);

/** Resolves when the engine is up, or down. */
const until = (engine: Engine, isUp: boolean) =>
  new Promise<void>((resolve) => {
    const check = () => {
      if (engine.status.isUp === isUp) resolve();
    };
    engine.onStatus(check);
    check();
  });

engineContract("engine over one NATS server", async () => {
  const nats = await startNats();
  const engines: Engine[] = [];
  return {
    async connect(name) {
      const engine = await open(name, nats.urls);
      engines.push(engine);
      await until(engine, true);
      return engine;
    },
    // One server handles what a connection sends in its order: after an answer, all is known.
    settle: async () => {
      for (const each of engines) {
        await expect(each.request("nobody", new Uint8Array(), 5000)).rejects.toThrow();
      }
    },
    async breakDown() {
      await nats.kill(0);
      await Promise.all(engines.map((each) => until(each, false)));
    },
    async repair() {
      await nats.start(0);
      await Promise.all(engines.map((each) => until(each, true)));
    },
    async close() {
      await Promise.all(engines.map((each) => each.close()));
      await nats.close();
    },
  };
});

test("a server that takes smaller messages than these is not used, and its setting named", async () => {
  const nats = await startNats({ config: "max_payload: 102400" });
  const engine = await open("small", nats.urls);
  await expect
    .poll(() => engine.status.detail)
    .toContain("the server takes 102400 bytes a message: set its max_payload to 1048576");
  await engine.close();
  await nats.close();
});

test("a request is answered in the inbox of its sender, and nowhere else", async () => {
  const nats = await startNats();
  const names = subjects("main");
  const engine = await open("host-0", nats.urls, names.senderInbox);
  await until(engine, true);
  const asked: boolean[] = [];
  engine.subscribe(names.toHost("host-0", "*"), ({ bytes, answer }) => {
    asked.push(answer !== undefined);
    answer?.(bytes);
  });
  await expect(engine.request("nobody", new Uint8Array(), 5000)).rejects.toThrow("nobody listens");
  const door = await (await loadNats()).connect({ servers: [...nats.urls], noEcho: true });
  const heard: string[] = [];
  door.subscribe(">", { callback: (_, { subject }) => void heard.push(subject) });
  const inbox = names.inbox("door", "door-1");
  const elsewhere = [
    ...["x!y", "a.*", `${inbox}.a.*`, `${inbox}.>`, `${inbox}.a!b`, inbox, `${inbox}0.a`],
    ...[names.fromHost("host-1"), names.toDoor("door-2", "host-0")],
    ...[`${names.inbox("door", "door-2")}.a`, `${names.inbox("host", "door-1")}.a`],
  ];
  for (const reply of [...elsewhere, `${inbox}.a.b`]) {
    door.publish(names.toHost("host-0", "door-1"), new Uint8Array([1]), { reply });
  }
  await expect.poll(() => asked.at(-1)).toBe(true);
  await expect.poll(() => heard).toContain(`${inbox}.a.b`);
  expect(heard).toEqual([`${inbox}.a.b`]);
  expect(asked).toEqual([...elsewhere.map(() => false), true]);
  await door.close();
  await engine.close();
  await nats.close();
});
