/** What an outcome or a stream says is what happened: attempts, erased proofs, the node's epoch. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { AggregatorClient } from "../../client/rpc/aggregator-client.js";
import {
  OutcomeStatus,
  RequestState,
  VerifiedBy,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { StreamResultsResponse } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { startFakeProver } from "../../server/prover/fake/fake.js";
import type { Prover } from "../../server/prover/prover.js";
import { ProverError } from "../../server/prover/prover.js";
import type { Service } from "../../server/service.js";
import { fakeSnapshot } from "../../tools/harness/fake-snapshots.js";
import { startTestService } from "../helpers/start-service.js";

let service: Service;
let client: AggregatorClient;
/** Number of proofs that end with the death of their prover. */
let deaths = 0;

/** A prover whose next `deaths` proofs report that it has died. */
function mortalProver(): Prover {
  const prover = startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() });
  const prove = prover.prove.bind(prover);
  return Object.assign(prover, {
    prove: (job: Parameters<Prover["prove"]>[0]) => {
      if (deaths === 0) return prove(job);
      deaths--;
      prover.kill();
      return Promise.reject(new ProverError("died", "killed by the test"));
    },
  });
}

beforeEach(async () => {
  deaths = 0;
  service = await startTestService(mortalProver, { drainMs: 1 });
  client = new AggregatorClient({ address: service.addresses[0] ?? "" });
});
afterEach(async () => {
  client.close();
  await service.close();
});

async function submit(nodeEpoch: bigint, fenceMs = 60_000, slots = 2): Promise<string> {
  const node = { nodeId: "node-1", nodeEpoch };
  const budgets = { deadlineMs: Math.min(fenceMs, 50_000), fenceMs };
  const { result } = await client.submitSnapshot({
    node,
    snapshot: fakeSnapshot(slots),
    ...budgets,
  });
  if (result.case !== "accepted") throw new Error(`skipped: ${JSON.stringify(result.value)}`);
  return result.value.requestId;
}

async function outcomesOf(requestId: string) {
  const node = { nodeId: "node-1" };
  const { session } = await client.getSession({ node, requestId, waitMs: 10_000 });
  return session?.outcomes ?? [];
}

async function streamOf(nodeEpoch: bigint, ...awaited: string[]): Promise<StreamResultsResponse[]> {
  const node = { nodeId: "node-1", nodeEpoch };
  const events: StreamResultsResponse[] = [];
  const request = {
    node,
    awaited: awaited.map((requestId) => ({ requestId })),
    retained: awaited.length === 0,
    noFollow: true,
  };
  for await (const each of client.streamResults(request)) events.push(each);
  return events;
}

const requestsIn = (events: readonly StreamResultsResponse[]) =>
  new Set(
    events.flatMap(({ event }) =>
      event.case === "outcome" || event.case === "summary" ? [event.value.requestId] : [],
    ),
  );

test("attempt counts the attempts of the group, not those of the device", async () => {
  expect((await outcomesOf(await submit(1n))).map(({ attempt }) => attempt)).toEqual([1, 1]);
  expect((await outcomesOf(await submit(1n))).map(({ attempt }) => attempt)).toEqual([1, 1]);
  deaths = 1;
  const retried = await outcomesOf(await submit(1n, 60_000, 1));
  expect(retried).toMatchObject([{ status: OutcomeStatus.PROVED, attempt: 2 }]);
});

test.each([
  ["1", VerifiedBy.STANDBY],
  ["0", VerifiedBy.SAME_PROVER],
] as const)("with --standby %s an outcome says who verified its proof", async (standby, by) => {
  const other = await startTestService(mortalProver, { standby });
  const caller = new AggregatorClient({ address: other.addresses[0] ?? "" });
  try {
    const hasStandby = async () => (await caller.getServerInfo({})).devices[0]?.standbyReady;
    await expect.poll(hasStandby, { timeout: 5000 }).toBe(standby === "1");
    const node = { nodeId: "node-1" };
    const { result } = await caller.submitSnapshot({ node, snapshot: fakeSnapshot(1) });
    if (result.case !== "accepted") throw new Error(`skipped: ${JSON.stringify(result.value)}`);
    const { requestId } = result.value;
    const { session } = await caller.getSession({ node, requestId, waitMs: 10_000 });
    expect(session?.outcomes.map(({ verifiedBy }) => verifiedBy)).toEqual([by]);
  } finally {
    caller.close();
    await other.close();
  }
});

test("a proved group whose bytes are erased at the fence says so, in session and stream", async () => {
  const requestId = await submit(1n, 3000, 1);
  const [fresh] = await outcomesOf(requestId);
  expect(fresh).toMatchObject({ status: OutcomeStatus.PROVED, proofErased: false });
  expect(fresh?.proof.length).toBeGreaterThan(0);
  await expect
    .poll(async () => (await outcomesOf(requestId))[0])
    .toMatchObject({ status: OutcomeStatus.PROVED, proofErased: true, proof: new Uint8Array() });
  const outcome = (await streamOf(1n)).find(({ event }) => event.case === "outcome");
  expect(outcome?.event.value).toMatchObject({ proofErased: true });
});

test("a restarted node is not sent the results of its earlier run", async () => {
  const none = await submit(0n);
  await outcomesOf(none);
  const before = await submit(1n);
  await outcomesOf(before);
  expect(requestsIn(await streamOf(1n))).toEqual(new Set([before]));
  expect(requestsIn(await streamOf(2n))).toEqual(new Set());
  await expect(streamOf(1n)).rejects.toThrow(/node_id_in_use/);
  const after = await submit(2n);
  await outcomesOf(after);
  expect(requestsIn(await streamOf(2n))).toEqual(new Set([after]));
  expect(requestsIn(await streamOf(0n)), "without an epoch").toEqual(
    new Set([none, before, after]),
  );
  const [opened, ...named] = await streamOf(2n, before, none, after);
  const { UNKNOWN, ENDED } = RequestState;
  const states = [UNKNOWN, UNKNOWN, ENDED].map((state) => ({ state }));
  expect(opened?.event.value).toMatchObject({ awaited: states });
  expect(requestsIn(named)).toEqual(new Set([after]));
});
