/**
 * A hostile node's merges, large groups and cancels, at a served process with a prover that is busy 100 ms for each
 * proof: what is wrong is named, and another node's votes are proved in time all the while.
 */
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AggregatorClient, AggregatorError } from "../../client/index.js";
import type { Outcome } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { OutcomeStatus } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { goodMerge, hostileMerges, hostileTree } from "../../tools/bench/abuse/hostile-merges.js";
import type { Submission } from "../../tools/bench/abuse/hostile-merges.js";
import { limits } from "../../server/limits.js";
import { quantile } from "../../tools/bench/statistics.js";
import { ServiceProcess } from "../../tools/harness/processes/service-process.js";
import { snapshot } from "../../tools/harness/vectors.js";
import { inventedGroup } from "../../tools/harness/wire/contract.js";

/** Set by `make abuse`: with other work on the machine, times show that work. */
const areTimesHeld = process.env.ABUSE_TIMES === "1";
const PROOF_MS = 100;
const LEAF_RAWS_MAX = 4;
/** A proof that runs and the node's own, and what the machine takes beside. */
const BESIDE_MERGES_MS = 2 * PROOF_MS + 60;
/** Nodes that flood: each may have one group in flight. */
const FLOODERS = 8;
const ROUNDS = 12;

let service: ServiceProcess;
let client: AggregatorClient;
let proofs: [Uint8Array, Uint8Array];

beforeAll(async () => {
  const flags = ["--prover", "fake", "--fake-time", `${PROOF_MS}`];
  service = ServiceProcess.spawn({ flags: [...flags, "--leaf-raws-max", `${LEAF_RAWS_MAX}`] });
  await service.ready();
  client = new AggregatorClient({ address: (await service.listening()).nodes });
  proofs = [await provedVotes(0), await provedVotes(1)];
});
afterAll(async () => {
  client.close();
  await service.stop();
});

const nodeOf = (nodeId: string) => ({ nodeId, nodeEpoch: 1n });

async function outcomeOf(nodeId: string, submission: Submission): Promise<Outcome> {
  const node = nodeOf(nodeId);
  const { result } = await client.submitSnapshot({ ...submission, node });
  if (result.case !== "accepted") throw new Error(`skipped: ${result.value?.detail ?? ""}`);
  const { requestId } = result.value;
  const { session } = await client.getSession({ node, requestId, waitMs: 20_000 });
  const [outcome] = session?.outcomes ?? [];
  if (outcome === undefined) throw new Error("the session has no outcome");
  return outcome;
}

/** Two votes on another data each time, proved before their deadline. */
async function provedVotes(nth: number, deadlineMs = 5000): Promise<Uint8Array> {
  const sent = snapshot(100 + nth, [inventedGroup(nth, [0, 1])]);
  const limits = { deadlineMs, fenceMs: deadlineMs + 3000 };
  const outcome = await outcomeOf("steady", { snapshot: sent, ...limits });
  expect(OutcomeStatus[outcome.status]).toBe("PROVED");
  return outcome.proof;
}

/** How long each of some rounds of votes takes, in milliseconds. */
async function votesMs(first: number, rounds = ROUNDS): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const startedMs = performance.now();
    await provedVotes(first + round);
    times.push(performance.now() - startedMs);
  }
  return times;
}

/** Nodes that submit again and again until `meanwhile` has ended; returns how many were accepted. */
async function flood(
  make: (nth: number) => Submission,
  meanwhile: Promise<unknown>,
  nodes = FLOODERS,
): Promise<number> {
  let isOver = false;
  let [nth, accepted] = [0, 0];
  const over = meanwhile.finally(() => (isOver = true));
  const flooders = Array.from({ length: nodes }, async (_, at) => {
    while (!isOver) {
      const sent = { ...make(nth++), node: nodeOf(`flood-${at}`) };
      const { result } = await client.submitSnapshot(sent);
      if (result.case === "accepted") accepted++;
      await pause(5);
    }
  });
  await Promise.all([over, ...flooders]);
  return accepted;
}

test("each broken merge is refused by its field, or ends with its components named", async () => {
  for (const { name, submission, refusal, named } of hostileMerges(proofs)) {
    const ended = await outcomeOf("hostile", submission).catch((error: unknown) => error);
    if (refusal !== null) {
      expect(ended, name).toBeInstanceOf(AggregatorError);
      expect(ended, name).toMatchObject({ kind: "invalid_argument" });
      expect((ended as AggregatorError).message, name).toMatch(refusal);
      continue;
    }
    const { status, leftOut, proof } = ended as Outcome;
    expect(OutcomeStatus[status], name).toBe("REJECTED");
    expect(proof, name).toHaveLength(0);
    const inputs = leftOut.map(({ input }) => [input.case, input.value]);
    expect(inputs, name).toEqual(named.map((at) => ["componentIndex", at]));
  }
});

test("votes are proved as before beside a flood of merges", async () => {
  const normal = await votesMs(100);
  const attacked = votesMs(200);
  expect(await flood(goodMerge, attacked)).toBeGreaterThan(FLOODERS);
  if (!areTimesHeld) return;
  const ms = quantile(await attacked, 0.95);
  expect(ms).toBeLessThan(Math.max(BESIDE_MERGES_MS, 2 * quantile(normal, 0.95)));
});

test("votes are proved in time beside a flood of broken merges", async () => {
  const broken = hostileMerges(proofs).filter(({ refusal }) => refusal === null);
  const make = (nth: number) => broken[nth % broken.length]?.submission ?? goodMerge(nth);
  expect(await flood(make, votesMs(300))).toBeGreaterThan(FLOODERS);
});

test("votes are proved in time beside a flood of large groups, once each of its nodes had a turn", async () => {
  const attacked = (async () => {
    // The first may come before the flood.
    for (const nth of [400, 401]) await provedVotes(nth, 30_000);
    return votesMs(402, 5);
  })();
  expect(await flood(hostileTree, attacked)).toBeGreaterThan(FLOODERS);
});

test("votes are proved in time beside a node that submits and cancels in a loop", async () => {
  const node = nodeOf("loop");
  let isOver = false;
  const votes = votesMs(500).finally(() => (isOver = true));
  for (let nth = 0; !isOver; nth++) {
    const { result } = await client.submitSnapshot({ ...goodMerge(nth), node });
    await pause(PROOF_MS / 2);
    if (result.case !== "accepted") continue;
    await client.cancelSession({ node, requestId: result.value.requestId });
  }
  expect(await votes).toHaveLength(ROUNDS);
  const killed = /prover_restarts_total\{[^}]*cause="cancelled"[^}]*\} (\d+)/;
  const kills = Number(killed.exec(await service.metrics())?.[1]);
  expect(kills).toBeGreaterThan(0);
  expect(kills).toBeLessThanOrEqual(limits.killsPerMinuteMax);
});
