/**
 * The rehearsal of an upgrade of the prover, under load: shadow proofs, the switch at a slot, a next revision
 * that fails from then on, and the automatic return. Judged at the nodes, of which each goes through all slots.
 */
import { expect, test } from "vitest";
import { OutcomeStatus } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Outcome } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { UpgradeState } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { dataOf, raw } from "../../tools/harness/vectors.js";
import { Oracle } from "./chaos-oracle.js";
import { Site, until } from "./chaos-service.js";

const NODES = 3;
/** The judge's first slot is 1000. */
const SLOTS = 24;
const SWITCH_SLOT = 1008;

/** A service with a device of each revision; the proofs of the next one fail so. */
function settings(failures: readonly string[], shadow: number): Record<string, string> {
  const devices = [
    { id: "old", fake: { revision: "r1" } },
    { id: "next", fake: { revision: "r2", failures } },
  ];
  return {
    LEAN_AGGREGATOR_PROVER: "fake",
    LEAN_AGGREGATOR_FAKE_ACCEPTS: "any",
    LEAN_AGGREGATOR_FAKE_TIME: "20",
    LEAN_AGGREGATOR_DEVICES: JSON.stringify(devices),
    LEAN_AGGREGATOR_UPGRADE: JSON.stringify({ revision: "r2", slot: SWITCH_SLOT, shadow }),
  };
}

/** The node submits votes of its own, and keeps the outcome. */
async function slot(oracle: Oracle, node: number, at: number, outcomes: Map<number, Outcome>) {
  // In each slot other validators: an input over which provers died is set aside.
  const validators = [0, 1, 2].map((each) => 21 * node + ((at + each) % 21));
  const rawSignatures = validators.map((validator) => raw(0, validator));
  const requestId = await oracle.submit([{ data: dataOf(0), rawSignatures }]);
  for (const outcome of await oracle.outcomes(requestId)) outcomes.set(1000 + at, outcome);
}

/** All nodes go through all slots, each begun by all once the one before has ended. Outcomes by node and slot. */
async function load(oracles: readonly Oracle[]): Promise<Map<number, Outcome>[]> {
  const byNode = oracles.map((oracle) => ({ oracle, outcomes: new Map<number, Outcome>() }));
  for (let at = 0; at < SLOTS; at++)
    await Promise.all(byNode.map((each, node) => slot(each.oracle, node, at, each.outcomes)));
  return byNode.map(({ outcomes }) => outcomes);
}

const isProved = ({ status }: Outcome) => status === OutcomeStatus.PROVED;
const revisionOf = ({ proofSystem }: Outcome) => proofSystem?.revision ?? "";

async function rehearse(failures: readonly string[], shadow: number) {
  const site = new Site();
  const service = site.spawn(settings(failures, shadow));
  try {
    await service.listening();
    const oracles = Array.from({ length: NODES }, (_, at) => new Oracle(site.address, `n${at}`));
    const [judge] = oracles;
    if (judge === undefined) throw new Error("no node");
    await until(async () => {
      const { devices } = await judge.client.getServerInfo();
      return devices.length === 2 && devices.every(({ standbyReady }) => standbyReady);
    });
    const byNode = await load(oracles);
    const { upgrade } = await judge.client.getServerInfo();
    const metrics = await service.metrics();
    for (const oracle of oracles) {
      await oracle.expectNothingLostOrDoubled();
      await oracle.close();
    }
    service.signal("SIGTERM");
    expect(await service.exited).toEqual({ code: 0, signal: null });
    const value = (series: string) => {
      const line = metrics.split("\n").find((each) => each.startsWith(`${series} `));
      return Number(line?.split(" ")[1]);
    };
    return { outcomes: byNode.flatMap((each) => [...each]), byNode, upgrade, value };
  } finally {
    site.dispose();
  }
}

const SHADOW = "lean_aggregator_server_shadow_proofs_total";

test("the next revision is shadowed, takes over at its slot, and stays while it is right", async () => {
  const { outcomes, upgrade, value } = await rehearse([], 1);
  expect(outcomes).toHaveLength(NODES * SLOTS);
  for (const [slot, outcome] of outcomes) {
    expect(isProved(outcome)).toBe(true);
    expect([slot, revisionOf(outcome)]).toEqual([slot, slot < SWITCH_SLOT ? "r1" : "r2"]);
  }
  expect(upgrade).toMatchObject({ state: UpgradeState.SWITCHED, slot: BigInt(SWITCH_SLOT) });
  expect(value(`${SHADOW}{result="verified"}`)).toBeGreaterThan(0);
  expect(value(`${SHADOW}{result="invalid"}`)).toBe(0);
});

test.each([
  // No shadow proof is wrong: there are fewer before the slot than proofs that are right.
  ["a proof that does not verify", [`invalid:${3 * SWITCH_SLOT - 3000 + 6}`], 1, 1],
  ["three deaths", ["death:1"], 0, NODES],
])("after %s the old revision proves again, and no other vote is lost", async (...of) => {
  const [, failures, shadow, failedMax] = of;
  const { byNode, outcomes, upgrade, value } = await rehearse(failures, shadow);
  expect(outcomes).toHaveLength(NODES * SLOTS);
  const failed = outcomes.filter(([, outcome]) => !isProved(outcome));
  expect(failed.length).toBeGreaterThan(0);
  expect(failed.length).toBeLessThanOrEqual(failedMax);
  for (const [slot, outcome] of failed) {
    expect(revisionOf(outcome)).toBe("r2");
    expect(outcome.status).toBe(OutcomeStatus.FAILED);
    expect(slot).toBeGreaterThanOrEqual(SWITCH_SLOT);
  }
  expect(upgrade?.state).toBe(UpgradeState.RETURNED);
  expect(value('lean_aggregator_server_upgrade{state="returned"}')).toBe(1);
  for (const each of byNode) {
    // The old one, then the next one, then the old one to the end.
    const revisions = [...each.values()].map(revisionOf);
    expect(revisions.join("")).toMatch(/^(r1){8}(r2)+(r1)+$/);
  }
});
