/** The whole service with the real prover in its own process: every kind of input that matters. */
import { createClient } from "@connectrpc/connect";
import type { Client } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  AggregatorService,
  LeftOutReason,
  OutcomeReason,
  OutcomeStatus,
  SessionState,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Outcome } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../server/limits.js";
import { metricValue } from "../helpers/metric-value.js";
import { proverPid, startRealService } from "../helpers/start-service.js";
import type { Service } from "../../server/service.js";
import * as vectors from "../../tools/harness/vectors.js";
import type { GroupInit } from "../../tools/harness/vectors.js";

const node = { nodeId: "e2e", nodeEpoch: 1n };
const [DEADLINE_MS, FENCE_MS] = [60_000, 120_000];
let service: Service;
let client: Client<typeof AggregatorService>;

beforeAll(async () => {
  service = await startRealService();
  client = createClient(
    AggregatorService,
    createGrpcTransport({ baseUrl: `http://${service.addresses[0]}` }),
  );
}, 90_000);
afterAll(() => service.close());

async function submit(
  slot: number,
  groups: GroupInit[],
  keys = vectors.keyTable(65),
  minInputs = 1,
) {
  const snapshot = vectors.snapshot(slot, groups, keys);
  const { result } = await client.submitSnapshot({
    node,
    snapshot,
    deadlineMs: DEADLINE_MS,
    fenceMs: FENCE_MS,
    minInputs,
  });
  if (result.case !== "accepted")
    throw new Error(`skipped: ${result.value?.detail ?? "no answer"}`);
  return result.value.requestId;
}

async function prove(group: GroupInit, slot = 100, minInputs = 1): Promise<Outcome> {
  const requestId = await submit(slot, [group], vectors.keyTable(65), minInputs);
  const [outcome] = await outcomesOf(requestId);
  if (outcome === undefined) throw new Error("no outcome");
  return outcome;
}

/** Resolves once the session has ended, which it has at its fence. */
async function outcomesOf(requestId: string): Promise<Outcome[]> {
  for (;;) {
    const { session } = await client.getSession({ node, requestId, waitMs: limits.waitMsMax });
    if (session?.state === SessionState.ENDED) return session.outcomes;
  }
}

/** Validators of the outcome, once its proof verified against exactly their keys. */
async function verified(outcome: Outcome): Promise<number[]> {
  expect(outcome.status).toBe(OutcomeStatus.PROVED);
  expect(outcome.fake).toBe(false);
  const validators = [...outcome.participants].flatMap((byte, at) =>
    [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => (byte >> bit) & 1).map((bit) => at * 8 + bit),
  );
  const claim = { node, data: outcome.data ?? {}, proof: outcome.proof };
  const answer = await client.verifyAggregate({
    ...claim,
    publicKeys: validators.map(vectors.publicKey),
  });
  expect(answer.valid).toBe(true);
  return validators;
}

const leftOut = ({ leftOut: inputs }: Outcome) =>
  inputs.map(({ reason, input }) => [reason, input.value]);
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
const group0 = (parts: Omit<GroupInit, "data">): GroupInit => ({
  data: vectors.dataOf(0),
  ...parts,
});

describe("with the real prover", () => {
  test("one raw signature is proved; tampered, missing or extra claims do not verify", async () => {
    const outcome = await prove(group0({ rawSignatures: vectors.raws(0, 0, 1) }));
    expect(await verified(outcome)).toEqual([0]);
    const request = { node, data: vectors.dataOf(0), publicKeys: [vectors.publicKey(0)] };
    const proof = vectors.tampered(outcome.proof);
    expect((await client.verifyAggregate({ ...request, proof })).valid).toBe(false);
    const more = [vectors.publicKey(0), vectors.publicKey(1)];
    expect(
      (await client.verifyAggregate({ ...request, proof: outcome.proof, publicKeys: more })).valid,
    ).toBe(false);
  });

  test("32 raw signatures with a bad, a tampered and a wrong-leaf one among them: the rest is proved", async () => {
    const rawSignatures = vectors.raws(0, 0, 32);
    const bad = vectors.raw(0, 33);
    rawSignatures.push({ validatorIndex: 34, signature: bad.signature });
    rawSignatures.push(
      { ...bad, signature: vectors.tampered(bad.signature) },
      vectors.wrongLeafRaw(),
    );
    const outcome = await prove(group0({ rawSignatures }));
    expect(await verified(outcome)).toEqual(range(0, 32));
    expect(leftOut(outcome)).toEqual([
      [LeftOutReason.BAD_SIGNATURE, 33],
      [LeftOutReason.BAD_SIGNATURE, 34],
      [LeftOutReason.WRONG_LEAF, 64],
    ]);
  });

  test("a child is folded with raws, and a raw that it covers is trimmed and named", async () => {
    const outcome = await prove(
      group0({ rawSignatures: vectors.raws(0, 15, 17), children: [vectors.child(0)] }),
    );
    expect(await verified(outcome)).toEqual(range(0, 17));
    expect(outcome.childrenFolded).toEqual([0]);
    expect(leftOut(outcome)).toEqual([[LeftOutReason.COVERED, 15]]);
  });

  test("raws that a child covers are no inputs: with min_inputs 3, nothing is proved", async () => {
    const group = { rawSignatures: vectors.raws(0, 14, 17), children: [vectors.child(0)] };
    expect(await prove(group0(group), 100, 3)).toMatchObject({
      status: OutcomeStatus.NOTHING_TO_PROVE,
      detail: "the group has 2 inputs, fewer than min_inputs",
      votes: { proved: [0, 0], covered: 16, notStarted: 1 },
      leftOut: [],
    });
    const outcome = await prove(group0(group), 100, 2);
    expect(await verified(outcome)).toEqual(range(0, 17));
    expect(outcome.votes).toMatchObject({ proved: [17, 0], covered: 0, notStarted: 0 });
  });

  test("two children are folded", async () => {
    const outcome = await prove(group0({ children: [vectors.child(0), vectors.child(1)] }));
    expect(await verified(outcome)).toEqual(range(0, 32));
  });

  test("all bad is rejected; a child that claims more than it proves is dropped and named", async () => {
    const good = vectors.raw(0, 40);
    const bad = { ...good, signature: vectors.tampered(good.signature) };
    expect((await prove(group0({ rawSignatures: [bad] }))).status).toBe(OutcomeStatus.REJECTED);
    const child = { ...vectors.child(0), participants: vectors.bits(range(0, 17)) };
    const outcome = await prove(group0({ rawSignatures: [good], children: [child] }));
    expect(await verified(outcome)).toEqual([40]);
    expect(leftOut(outcome)).toEqual([[LeftOutReason.BAD_CHILD, 0]]);
  });

  test("a prover that is killed from outside costs its group one more attempt", async () => {
    const retries = () =>
      metricValue(service.metrics.registry, "lean_aggregator_server_retries_total");
    const before = await retries();
    const requestId = await submit(100, [group0({ rawSignatures: vectors.raws(0, 0, 64) })]);
    process.kill(proverPid(service), "SIGKILL");
    const [outcome] = await outcomesOf(requestId);
    if (outcome === undefined) throw new Error("no outcome");
    expect(await verified(outcome)).toEqual(range(0, 64));
    expect(await retries()).toBe((before ?? 0) + 1);
  });

  test("what ends after the deadline is late and marked, what was queued by then is not started", async () => {
    const groups = [102, 104].map((slot) => {
      const [group = 0] = vectors.groupsOfSlot(slot);
      return { data: vectors.dataOf(group), rawSignatures: vectors.raws(group, 0, 2) };
    });
    const snapshot = vectors.snapshot(105, groups);
    const { result } = await client.submitSnapshot({
      node,
      snapshot,
      deadlineMs: 100,
      fenceMs: FENCE_MS,
    });
    const requestId = result.case === "accepted" ? result.value.requestId : "";
    expect((await outcomesOf(requestId)).map(({ status, reason }) => [status, reason])).toEqual([
      [OutcomeStatus.PROVED_LATE, OutcomeReason.UNSPECIFIED],
      [OutcomeStatus.NOT_STARTED, OutcomeReason.DEADLINE],
    ]);
  });
});
