/** `lean-aggregator prove` as a process, over a real server of the engine. */
import { setTimeout } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../../server/clock.js";
import type { Engine } from "../../../server/engine/engine.js";
import { openNatsEngine } from "../../../server/engine/nats-engine.js";
import { subjects } from "../../../server/fleet/wire/subjects.js";
import { createLog } from "../../../server/log/log.js";
import type { Nats } from "../../../tools/harness/processes/nats.js";
import { startNats } from "../../../tools/harness/processes/nats.js";
import { startProcess } from "../../helpers/prove-process.js";
import type { ProveProcess } from "../../helpers/prove-process.js";
import { ScriptedDoor, workOf } from "../../unit/fleet/scripted-door.js";

let nats: Nats;
let engine: Engine;
let host: ProveProcess;
let door: ScriptedDoor;

beforeEach(async () => {
  nats = await startNats();
  engine = await openNatsEngine(
    {
      servers: nats.urls,
      name: "a",
      inboxPrefix: subjects("main").inbox("door", "a"),
      inboxOf: subjects("main").senderInbox,
      tls: { ca: undefined, certificate: undefined, key: undefined },
    },
    { clock: systemClock, log: createLog("silent"), random: Math.random },
  );
  door = new ScriptedDoor(engine, "a", "h1", () => systemClock.nowMs());
  host = startProcess(["--engine", nats.urls.join(","), "--host-id", "h1", "--fake-time", "3000"]);
  await door.untilPhase("cpu", "idle");
  await door.until(() => door.heard.filter(({ kind }) => kind === "beat").length > 2);
}, 60_000);

afterEach(async () => {
  await host.kill();
  await engine.close();
  await nats.close();
});

test("a proof ends at its fence on its host, with the engine gone", async () => {
  door.assign("cpu", 1, workOf(1), 1500);
  await door.untilPhase("cpu", "proving");
  const killed = host.untilLog("prover ended");
  await nats.kill(0);
  expect(await killed).toMatchObject({ cause: "fence" });
  await nats.start(0);
  await door.until(() => door.report("cpu").lease === 2);
  expect(door.ended).toEqual([]);
}, 60_000);

test("SIGTERM drains: what runs ends and is delivered, and the host says goodbye", async () => {
  door.assign("cpu", 1, workOf(1), 20_000);
  await door.untilPhase("cpu", "proving");
  host.signal("SIGTERM");
  await door.until(() => door.report("cpu").isDrained);
  expect((await door.untilEnded(1)).result.kind).toBe("proved");
  await door.until(() => door.heard.some(({ kind }) => kind === "bye"));
  expect(await host.exited).toBe(0);
}, 60_000);

test("a host without engine and probes waits, and ends by a signal only", async () => {
  const lonely = startProcess(["--engine", "nats://127.0.0.1:1", "--host-id", "h2"]);
  await lonely.untilLog("engine unreachable");
  const first = await Promise.race([lonely.exited, setTimeout(4000, "waits")]);
  expect(first).toBe("waits");
  lonely.signal("SIGTERM");
  expect(await lonely.exited).toBe(0);
}, 60_000);
