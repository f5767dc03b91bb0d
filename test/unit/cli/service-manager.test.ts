/** What a service manager learns, and when its watchdog is fed, in virtual time. */
import { expect, test } from "vitest";
import { createLog } from "../../../server/log/log.js";
import { ServiceManager } from "../../../cli/run/service-manager.js";
import { managed } from "../../../cli/run/service-signals.js";
import { VirtualClock } from "../../../tools/sim/virtual-clock.js";

function run(watchdogMs: number | undefined) {
  const clock = new VirtualClock();
  const sent: string[] = [];
  const logged: string[] = [];
  const is: { stuck?: string; notReady?: string; unreachable?: boolean } = {};
  const note = (_line: object, text = "") => void logged.push(text);
  const manager = new ServiceManager(watchdogMs, {
    clock,
    log: Object.assign(createLog("silent"), { warn: note, error: note }),
    send: (text) => {
      if (is.unreachable === true) throw new Error("nobody listens");
      sent.push(text);
    },
    monotonicUs: () => 7n,
  });
  const watched = { whyStuck: () => is.stuck, whyNotReady: () => is.notReady };
  const takeSent = () => sent.splice(0);
  return { clock, manager, watched, is, takeSent, logged };
}

test("it learns that the service is ready, with its state, and fed at least twice in the watchdog's time", async () => {
  const { clock, manager, watched, is, takeSent } = run(3000);
  is.notReady = "provers are starting";
  manager.started(watched);
  expect(takeSent()).toEqual(["READY=1\nSTATUS=provers are starting", "WATCHDOG=1"]);
  delete is.notReady;
  await clock.runUntil(3000, () => undefined);
  expect(takeSent()).toEqual(["WATCHDOG=1\nSTATUS=ready", "WATCHDOG=1", "WATCHDOG=1"]);
});

test("the watchdog is not fed while a session outlives its fence, and is again afterwards", async () => {
  const { clock, manager, watched, is, takeSent, logged } = run(3000);
  manager.started(watched);
  takeSent();
  is.stuck = "session 1 has not ended";
  await clock.runUntil(4000, () => undefined);
  expect(takeSent()).toEqual([]);
  expect(new Set(logged)).toEqual(new Set(["stuck; the watchdog is not fed"]));
  delete is.stuck;
  await clock.runUntil(5000, () => undefined);
  expect(takeSent()).toEqual(["WATCHDOG=1"]);
});

test("a reload and a stop are reported, and it is fed until it has ended", async () => {
  const { clock, manager, watched, takeSent } = run(3000);
  manager.started(watched);
  takeSent();
  const done: string[] = [];
  const close = () => Promise.resolve(void done.push("closed"));
  const running = managed(manager, {
    service: { close, kill: close },
    reload: () => Promise.resolve(void done.push("reloaded")),
  });
  await running.reload();
  expect(takeSent()).toEqual(["RELOADING=1\nMONOTONIC_USEC=7", "READY=1\nSTATUS=ready"]);
  await running.service.close();
  expect(takeSent()).toEqual(["STOPPING=1\nSTATUS=draining"]);
  await clock.runUntil(1000, () => undefined);
  expect(takeSent()).toEqual(["WATCHDOG=1"]);
  manager.close();
  await clock.runUntil(9000, () => undefined);
  expect(takeSent()).toEqual([]);
  expect(done).toEqual(["reloaded", "closed"]);
});

test("without a watchdog only what changes is sent; a manager that is gone is logged once", async () => {
  const { clock, manager, watched, is, takeSent, logged } = run(undefined);
  manager.started(watched);
  await clock.runUntil(20_000, () => undefined);
  expect(takeSent()).toEqual(["READY=1\nSTATUS=ready"]);
  is.unreachable = true;
  is.notReady = "draining";
  await clock.runUntil(25_000, () => undefined);
  is.notReady = "no prover";
  await clock.runUntil(30_000, () => undefined);
  expect(logged).toEqual(["cannot report to the service manager"]);
});

test("without a manager nothing is sent", () => {
  const { watched } = run(undefined);
  const manager = new ServiceManager(undefined, undefined);
  manager.started(watched);
  manager.reloading();
  manager.stopping();
  manager.close();
});
