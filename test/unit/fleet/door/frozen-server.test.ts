/** The engine's server stands still, and no connection breaks: no lane host is judged by that. */
import { expect, test } from "vitest";
import type { MemoryBroker } from "../../../../server/engine/memory-engine.js";
import { subjects } from "../../../../server/fleet/wire/subjects.js";
import { inputDigest } from "../../../../server/work/input-digest.js";
import type { ScriptedHost } from "../../../helpers/scripted-host.js";
import { CELL, description } from "../../../helpers/scripted-host.js";
import { DOOR_RUN, fleet, workOf } from "../door.js";

/** The host hangs, as after SIGSTOP: it listens, and says nothing. */
function hang(host: ScriptedHost, broker: MemoryBroker): void {
  broker.connect(`hung ${host.id}`).subscribe(subjects(CELL).toHost(host.id, "*"), () => undefined);
  host.fallSilent();
  host.engine.cut();
}

test.each([1, 3])(
  "a server of the engine that stands still for a moment: none of %d lane hosts is blamed",
  async (count) => {
    const { host, door, run, broker } = fleet();
    const d1 = door();
    const hosts = Array.from({ length: count }, (_, at) => host(`h${at}`).start());
    await run(300);
    const work = workOf(3);
    d1.assign("h0.cpu", 1, work);
    await run(1);
    const owners = [{ id: "d1", run: DOOR_RUN, attempt: 1 }];
    const digest = inputDigest(work, description);
    const phase = { kind: "proving", digest, owners, fenceInMs: 5000, proof: null } as const;
    hosts[0]?.announce("cpu", { phase });
    await run(1);
    broker.freeze();
    await run(1400);
    broker.thaw();
    await run(1500);
    expect(hosts.map(({ id }) => d1.events(`${id}.cpu`))).toEqual(hosts.map(() => ["added"]));
    expect(await d1.count("fleet_gone_total")).toBe(0);
    expect(await d1.count("fleet_attempts_gone_total")).toBe(0);
  },
);

test("what a door assigns while the server stands still is sent again, and no host is blamed", async () => {
  const { host, door, run, broker } = fleet();
  const d1 = door();
  host("h1").start();
  await run(300);
  broker.freeze();
  d1.assign("h1.cpu", 1, workOf(3));
  await run(1400);
  broker.thaw();
  await run(500);
  expect(d1.results("h1.cpu")).toEqual([]);
  expect(d1.last("h1.cpu")?.phase.kind).toBe("idle");
  expect(await d1.count("fleet_faults_total")).toBe(0);
});

test("a host that hangs while the server does is silent a second after the server goes on", async () => {
  const { host, door, run, broker } = fleet();
  const d1 = door();
  const h1 = host("h1").start();
  await run(300);
  broker.freeze();
  hang(h1, broker);
  await run(1400);
  broker.thaw();
  await run(700);
  expect(d1.events("h1.cpu")).toEqual(["added"]);
  await run(600);
  expect(d1.events("h1.cpu")).toEqual(["added", "gone"]);
  expect(await d1.count("fleet_gone_total", { cause: "silent" })).toBe(1);
});

test("when the connection breaks after all, hosts are judged by what comes over the next one", async () => {
  const { host, door, run, broker } = fleet();
  const d1 = door();
  const h1 = host("h1").start();
  await run(300);
  broker.freeze();
  await run(700);
  d1.engine.cut("its server does not answer");
  broker.thaw();
  hang(h1, broker);
  d1.engine.restore();
  await run(900);
  expect(d1.events("h1.cpu")).toEqual(["added"]);
  await run(200);
  expect(d1.events("h1.cpu")).toEqual(["added", "gone"]);
});
