/** The engine over real servers: what every engine does, and what a cluster's failures look like. */
import { expect, test } from "vitest";
import { systemClock } from "../../server/clock.js";
import type { Engine } from "../../server/engine/engine.js";
import { openNatsEngine } from "../../server/engine/nats-engine.js";
import { createLog } from "../../server/log/log.js";
import { startNats } from "../../tools/harness/processes/nats.js";
import { engineContract } from "../helpers/engine-contract.js";

const noTls = { ca: undefined, certificate: undefined, key: undefined };
const modules = { clock: systemClock, log: createLog("silent"), random: () => 0 };

const open = (name: string, servers: readonly string[]) =>
  openNatsEngine({ name, servers, inboxPrefix: `inbox.${name}`, tls: noTls }, modules);

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
