/** What may be done to a fleet's nats-servers: what cannot end is refused, and what fails is said. */
import { expect, test } from "vitest";
import { act, type Verb } from "../../../tools/fleet/commands.js";
import type { Nats } from "../../../tools/harness/processes/nats.js";

/** A running, a frozen and an ended server; a start fails where it is to. */
function serversOf(startError?: Error) {
  const calls: string[] = [];
  const states = ["running", "frozen", "ended"] as const;
  const call = (name: string) => (at: number) => {
    calls.push(`${name} ${at}`);
    return name === "start" && startError !== undefined
      ? Promise.reject(startError)
      : Promise.resolve();
  };
  const nats: Nats = {
    urls: states.map(() => "nats://localhost:1"),
    pids: [],
    state: (at) => states[at] ?? "ended",
    kill: call("kill"),
    stop: call("stop"),
    lameDuck: call("lameDuck"),
    start: call("start"),
    freeze: (at) => void calls.push(`freeze ${at}`),
    thaw: (at) => void calls.push(`thaw ${at}`),
    close: () => Promise.resolve(),
  };
  const fleet = { nats, member: () => undefined };
  const does = (verb: Verb, at: number) => act(fleet, { verb, target: `nats-${at}` });
  return { calls, does };
}

test("a server that runs is not started again, nor is one that ended ended again", async () => {
  const { calls, does } = serversOf();
  expect(await does("start", 0)).toBe("nats-0 runs already");
  expect(await does("start", 1)).toBe("nats-1 runs already");
  for (const verb of ["kill", "stop", "freeze", "thaw"] as const)
    expect(await does(verb, 2)).toBe("nats-2 has ended: start it");
  expect(await does("kill", 3)).toBe("there is no nats-3");
  expect(calls).toEqual([]);
});

test("a frozen server is not stopped, since it would not end; it is thawed or killed", async () => {
  const { calls, does } = serversOf();
  expect(await does("stop", 1)).toBe("nats-1 is frozen: thaw it, or kill it");
  expect(await does("thaw", 1)).toBeUndefined();
  expect(await does("kill", 1)).toBeUndefined();
  expect(await does("stop", 0)).toBeUndefined();
  expect(await does("start", 2)).toBeUndefined();
  expect(calls).toEqual(["thaw 1", "kill 1", "stop 0", "start 2"]);
});

test("an act that fails says why, and ends nothing else", async () => {
  const { does } = serversOf(new Error("the cluster has not formed"));
  expect(await does("start", 2)).toBe("nats-2: start failed: the cluster has not formed");
});
