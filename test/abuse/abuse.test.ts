/**
 * A served process under attack on each of its listeners, while a client that behaves goes on: its
 * calls take what they take otherwise, memory stays bounded, and what trickles in is let go.
 * `make abuse` prints the table, and says where a call takes more than twice its normal time.
 */
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { residentOf } from "../../tools/harness/processes/processes.js";
import { ServiceProcess } from "../../tools/harness/processes/service-process.js";
import { limits } from "../../server/limits.js";
import { Attacker } from "../../tools/bench/abuse/attack.js";
import type { Attack } from "../../tools/bench/abuse/attack.js";
import { attacks } from "../../tools/bench/abuse/attacks.js";
import { http1Attacks } from "../../tools/bench/abuse/http1-attacks.js";
import { openLingering } from "../../tools/bench/abuse/lingering.js";
import type { Lingering } from "../../tools/bench/abuse/lingering.js";
import { MB, table, times } from "../../tools/bench/abuse/report.js";
import type { Row } from "../../tools/bench/abuse/report.js";
import { SteadyClient } from "../../tools/bench/abuse/steady-client.js";
import type { ListenerName } from "../../tools/bench/abuse/steady-client.js";

/** Set by `make abuse`: with other work on the machine, times show that work. */
const areTimesHeld = process.env.ABUSE_TIMES === "1";
const NORMAL_MS = 600;
const ATTACK_MS = 1500;
/** On a machine with other work a call takes this long now and then without any attack. */
const NOISE_MS = 40;
/** On one that has nothing else to do: what the table calls over twice is over twice this. */
const QUIET_MS = { p50: 4, p95: 15 };
/** Calls may take so many times longer. */
const TIMES_MAX = 2;
/** A client's own ping goes unanswered where all cores are taken, and its call with it. */
const FAILURES_MAX = 1;
/** What an attack leaves to do is done by then: so many calls in a row are answered at once. */
const SETTLE_MS_MAX = 5000;
/** An attack that has to be cut goes on until it is: a busy machine takes longer to send so much. */
const CUT_MS_MAX = 15_000;
const CALM_CALLS = 5;
/** Two pings go unanswered at most; all of this began before the first attack. */
const LINGER_MS_MAX = 3 * limits.pingEveryMs;
/** Over what the service held before the first attack. */
const GROWTH_BYTES_MAX = 300 * MB;

let service: ServiceProcess;
let addresses: { grpc: string; http: string };
let client: SteadyClient;
let restingBytes: number;
let lingering: Lingering[];
const rows: Row[] = [];

beforeAll(async () => {
  service = ServiceProcess.spawn({ flags: ["--prover", "fake"] });
  await service.ready();
  const { nodes } = await service.listening();
  addresses = { grpc: nodes, http: nodes };
  client = await SteadyClient.start(addresses);
  lingering = await openLingering(addresses);
  await client.during("grpc", pause(NORMAL_MS));
  await client.during("http", pause(NORMAL_MS));
  restingBytes = residentOf(service.pid).now;
});
afterAll(async () => {
  console.log(table(rows, QUIET_MS));
  for (const { connection } of lingering) connection.close();
  await client.close();
  await service.stop();
});

async function endure(attack: Attack, listener: ListenerName): Promise<Row> {
  const normal = await client.during(listener, pause(NORMAL_MS));
  const address = addresses[listener];
  const over = new AbortController();
  const attacker = new Attacker(address, over.signal);
  const [attacked] = await Promise.all([
    client.during(listener, attack.run(attacker)),
    lasting(attack, attacker).then(() => {
      over.abort();
    }),
  ]);
  const growthBytes = residentOf(service.pid).now - restingBytes;
  const endings = attacker.endings();
  const { isCut } = attacker;
  attacker.close();
  const settleMs = await settled();
  const row = {
    attack: attack.name,
    listener,
    normal,
    attacked,
    growthBytes,
    endings,
    isCut,
    settleMs,
  };
  rows.push(row);
  return row;
}

/** Resolves when the attack has gone on for long enough. */
async function lasting(attack: Attack, attacker: Attacker): Promise<void> {
  const startedMs = performance.now();
  await pause(ATTACK_MS);
  const lastMs = startedMs + (attack.isCut ? CUT_MS_MAX : 0);
  while (!attacker.isCut && performance.now() < lastMs) await pause(20);
}

async function settled(): Promise<number> {
  const startedMs = performance.now();
  let calm = 0;
  while (calm < CALM_CALLS && performance.now() - startedMs < SETTLE_MS_MAX) {
    const askedMs = performance.now();
    const answer = await fetch(`http://${addresses.http}/livez`).catch(() => undefined);
    calm = answer?.ok === true && performance.now() - askedMs < NOISE_MS ? calm + 1 : 0;
    await pause(10);
  }
  return performance.now() - startedMs;
}

describe.each(["grpc", "http"] as const)("on the %s listener", (listener) => {
  const here = [...attacks, ...http1Attacks].filter(({ on }) => on.includes(listener));

  test.each(here)("$name: others are served as before", async (attack) => {
    const row = await endure(attack, listener);
    expect(row.settleMs).toBeLessThan(SETTLE_MS_MAX);
    expect(row.attacked.failures.length, row.attacked.failures[0]).toBeLessThan(FAILURES_MAX + 1);
    expect(row.attacked.callMs.length).toBeGreaterThan(10);
    if (areTimesHeld) {
      expect(times(row, "p50", QUIET_MS)).toBeLessThanOrEqual(TIMES_MAX);
      expect(times(row, "p95", QUIET_MS)).toBeLessThanOrEqual(TIMES_MAX);
    }
    const newcomers = row.attacked.newcomerFailures;
    expect(newcomers.length, newcomers[0]).toBeLessThan(FAILURES_MAX + 1);
    if (process.platform === "linux") expect(row.growthBytes).toBeLessThan(GROWTH_BYTES_MAX);
    if (attack.isCut) expect(row.isCut).toBe(true);
  });
});

test("what never comes is not waited for", async () => {
  const all = Promise.all(lingering.map(({ connection }) => connection.closed));
  await Promise.race([all, pause(LINGER_MS_MAX, undefined, { ref: false })]);
  const left = lingering.filter(({ connection }) => connection.isOpen).map(({ what }) => what);
  expect(left).toEqual([]);
});
