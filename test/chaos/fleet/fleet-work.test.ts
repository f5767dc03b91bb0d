/**
 * A door or a lane host killed or frozen in the middle of a merge, and of a tree of jobs, with processes and a
 * real nats-server: one outcome with all of the work, judged at the adapter. The prover is fake.
 */
import { afterEach, expect, test } from "vitest";
import { bitsToIndices } from "../../../client/index.js";
import { Fleet } from "../../../tools/harness/processes/fleet-processes.js";
import type { FleetMember } from "../../../tools/harness/processes/fleet-processes.js";
import { inventedGroup } from "../../../tools/harness/wire/contract.js";
import { expectWhole, inventedMerge } from "../chaos-merges.js";
import { Oracle } from "../chaos-oracle.js";
import { until } from "../chaos-service.js";

const FAKE = ["--prover", "fake", "--fake-time", "900"];
const LEAVES = ["--leaf-raws-max", "4"];
/** Three leaves. */
const VALIDATORS = Array.from({ length: 12 }, (_, at) => at);
const TIMEOUT_MS = 240_000;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const valueOf = async ({ process }: FleetMember, name: string) => {
  const text = await process.metrics().catch(() => "");
  const lines = text.matchAll(
    new RegExp(`^lean_aggregator_server_${name}(?:{[^}]*})? (\\d+)`, "gm"),
  );
  return [...lines].reduce((sum, [, value]) => sum + Number(value), 0);
};

async function isProving(host: FleetMember): Promise<boolean> {
  const begun = await valueOf(host, "lane_host_assigned_total");
  return begun > (await valueOf(host, "lane_host_ended_total"));
}

const submissions = {
  merge: {
    submit: (oracle: Oracle) => oracle.merge(inventedMerge(1)),
    check: async (oracle: Oracle, requestId: string) => {
      const [outcome] = await oracle.expectProved(requestId);
      expectWhole(inventedMerge(1), outcome);
    },
  },
  tree: {
    submit: (oracle: Oracle) => oracle.submit([inventedGroup(1, VALIDATORS)]),
    check: async (oracle: Oracle, requestId: string) => {
      const [outcome] = await oracle.expectProved(requestId);
      expect(bitsToIndices(outcome?.participants ?? new Uint8Array())).toEqual(VALIDATORS);
    },
  },
};

test.each([
  ["merge", "door", "SIGKILL"],
  ["merge", "host", "SIGKILL"],
  ["merge", "host", "SIGSTOP"],
  ["tree", "door", "SIGKILL"],
  ["tree", "host", "SIGKILL"],
  ["tree", "host", "SIGSTOP"],
] as const)(
  "in the middle of a %s a %s gets %s: it is proved once, and nothing runs on",
  async (work, role, signal) => {
    const fleet = await Fleet.start({ hostFlags: FAKE, doorFlags: LEAVES });
    closers.push(() => fleet.close());
    await fleet.ready();
    const oracle = new Oracle(await fleet.addresses());
    closers.push(() => oracle.close(0));
    const { submit, check } = submissions[work];
    const requestId = await submit(oracle);
    const host = await until(async () => {
      for (const each of fleet.hosts) if (await isProving(each)) return each;
      return undefined;
    });
    const victim = role === "host" ? host : fleet.doors[0];
    victim?.process.signal(signal);
    await check(oracle, requestId);
    await oracle.expectNothingLostOrDoubled();
    if (signal === "SIGSTOP") victim?.process.signal("SIGCONT");
    for (const each of fleet.hosts)
      if (each.process.isAlive) await until(async () => !(await isProving(each)));
  },
  TIMEOUT_MS,
);
