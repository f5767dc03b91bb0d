/** Trees of jobs with the real prover, its leaves cut to 32 raw signatures: each ends with one verified proof. */
import { createClient } from "@connectrpc/connect";
import type { Client } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  AggregatorService,
  LeftOutReason,
  OutcomeStatus,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Outcome } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Service } from "../../server/service.js";
import * as vectors from "../../tools/harness/vectors.js";
import type { GroupInit } from "../../tools/harness/vectors.js";
import { proverPid, startRealService } from "../helpers/start-service.js";

const TEST_MS_MAX = 240_000;
const node = { nodeId: "e2e", nodeEpoch: 1n };
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
let service: Service;
let client: Client<typeof AggregatorService>;

beforeAll(async () => {
  service = await startRealService(undefined, { leafRawsMax: 32, proverMemoryMb: 8000 });
  const baseUrl = `http://${service.addresses[0]}`;
  client = createClient(AggregatorService, createGrpcTransport({ baseUrl }));
}, 90_000);
afterAll(() => service.close());

async function submit(parts: Omit<GroupInit, "data">): Promise<string> {
  const groups = [{ data: vectors.dataOf(0), ...parts }];
  const asked = { deadlineMs: 60_000, fenceMs: 120_000 };
  const wanted = { snapshot: vectors.snapshot(100, groups, vectors.keyTable(64)), ...asked };
  const { result } = await client.submitSnapshot({ node, ...wanted });
  if (result.case === "accepted") return result.value.requestId;
  throw new Error(`skipped: ${result.value?.detail ?? "no answer"}`);
}

async function outcomeOf(requestId: string): Promise<Outcome> {
  for (;;) {
    const { session } = await client.getSession({ node, requestId, waitMs: 60_000 });
    const [outcome, ...others] = session?.outcomes ?? [];
    expect(others).toEqual([]);
    if (outcome !== undefined) return outcome;
  }
}

async function expectVerified(outcome: Outcome, validators: readonly number[]): Promise<void> {
  const participants = vectors.bits([...validators]);
  // Late on a loaded machine, which says nothing of the tree.
  expect([OutcomeStatus.PROVED, OutcomeStatus.PROVED_LATE]).toContain(outcome.status);
  expect(outcome).toMatchObject({ fake: false, participants });
  const publicKeys = validators.map(vectors.publicKey);
  const claim = { node, data: outcome.data ?? {}, proof: outcome.proof };
  expect((await client.verifyAggregate({ ...claim, publicKeys })).valid).toBe(true);
}

/** Jobs that have ended so since the service started. */
async function jobs(kind: "leaf" | "fold", result: string): Promise<number> {
  const { values } = await service.metrics.treeJobs.get();
  const of = (labels: object) => JSON.stringify(labels) === JSON.stringify({ kind, result });
  return values.find(({ labels }) => of(labels))?.value ?? 0;
}

test(
  "63 signers and a child become two leaves and a fold, with one outcome",
  async () => {
    const group = { rawSignatures: vectors.raws(0, 1, 64), children: [vectors.child(0)] };
    const outcome = await outcomeOf(await submit(group));
    await expectVerified(outcome, range(0, 64));
    expect(outcome.childrenFolded).toEqual([0]);
    const covered = outcome.leftOut.map(({ reason, input }) => [reason, input.value]);
    expect(covered).toEqual(range(1, 16).map((index) => [LeftOutReason.COVERED, index]));
    expect([await jobs("leaf", "proved"), await jobs("fold", "proved")]).toEqual([2, 1]);
  },
  TEST_MS_MAX,
);

test(
  "a bad signature in a leaf and a bad child are named, and all the others are proved",
  async () => {
    const rawSignatures = vectors.raws(0, 0, 56);
    const bad = vectors.raw(0, 56);
    rawSignatures.push({ ...bad, signature: vectors.tampered(bad.signature) });
    const child = vectors.child(1);
    const children = [{ ...child, proof: vectors.tampered(child.proof) }];
    const outcome = await outcomeOf(await submit({ rawSignatures, children }));
    await expectVerified(outcome, range(0, 56));
    expect(outcome.leftOut.map(({ reason, input }) => [reason, input.value])).toEqual([
      [LeftOutReason.BAD_SIGNATURE, 56],
      [LeftOutReason.BAD_CHILD, 0],
    ]);
  },
  TEST_MS_MAX,
);

test(
  "a prover that is killed in a leaf and in the fold costs these jobs one more try each",
  async () => {
    const before = [await jobs("leaf", "proved"), await jobs("fold", "proved")] as const;
    const requestId = await submit({ rawSignatures: vectors.raws(0, 0, 40) });
    process.kill(proverPid(service), "SIGKILL");
    const isDone = async () => (await jobs("leaf", "proved")) === before[0] + 2;
    await expect.poll(isDone, { timeout: 100_000, interval: 100 }).toBe(true);
    process.kill(proverPid(service), "SIGKILL");
    const outcome = await outcomeOf(requestId);
    await expectVerified(outcome, range(0, 40));
    expect(outcome.attempt).toBe(1);
    expect(await jobs("fold", "proved")).toBe(before[1] + 1);
    expect((await jobs("leaf", "failed")) + (await jobs("fold", "failed"))).toBe(2);
  },
  TEST_MS_MAX,
);
