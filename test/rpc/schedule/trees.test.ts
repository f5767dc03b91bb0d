/** Groups over the limits of one proof, over the wire: leaves and folds on several devices, one outcome. */
import type { Client } from "@connectrpc/connect";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, describe, expect, test } from "vitest";
import type { Outcome } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  AggregatorService,
  LeftOutReason,
  OutcomeReason,
  OutcomeStatus,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { AdminService } from "../../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import type { FakeLimits } from "../../../server/prover/fake/fake-limits.js";
import type { FakeFailure } from "../../../server/prover/fake/fake-plan.js";
import type { Service } from "../../../server/service.js";
import { inventedData, inventedRaw } from "../../../tools/harness/wire/contract.js";
import { bits, keyTable, publicKey, snapshot } from "../../../tools/harness/vectors.js";
import type { GroupInit } from "../../../tools/harness/vectors.js";
import { startTestService } from "../../helpers/start-service.js";

const node = { nodeId: "trees", nodeEpoch: 1n };
const limits: FakeLimits = { rawsMax: 2, separatesRaws: true, arities: 0b10100 };
const range = (count: number, from = 0) => Array.from({ length: count }, (_, at) => from + at);
/** Leaves time for one job, by the cost that is assumed of a prover, and for no tree. */
const TIGHT_FENCE_MS = 2500;
const sleepNot = () => Promise.resolve();

let service: Service;
let client: Client<typeof AggregatorService>;
/** Proofs begun so far, of all devices. */
let proofs = 0;

interface Serving {
  devices?: readonly string[];
  foldLimits?: FakeLimits;
  leafRawsMax?: number;
  failureOf?: (proof: number) => FakeFailure | undefined;
}

async function serve({ devices = ["a"], failureOf, ...rest }: Serving = {}): Promise<void> {
  const { foldLimits = limits, leafRawsMax = 0 } = rest;
  proofs = 0;
  const failure = () => failureOf?.(++proofs);
  const start = () => startFakeProver({ foldLimits, failure, proveMs: () => 1, sleep: sleepNot });
  const own = devices.map((id, core) => ({ id, cores: [core] }));
  service = await startTestService(start, { devices: own, leafRawsMax });
  const baseUrl = `http://${service.addresses[0]}`;
  client = createClient(AggregatorService, createGrpcTransport({ baseUrl }));
}
afterEach(() => service.close());

const submit = (group: Partial<GroupInit>, fenceMs?: number) =>
  submitGroups([{ data: inventedData(0), ...group }], fenceMs);

async function submitGroups(groups: GroupInit[], fenceMs = 60_000): Promise<string> {
  const asked = {
    snapshot: snapshot(100, groups, keyTable(20)),
    deadlineMs: fenceMs / 2,
    fenceMs,
  };
  const { result } = await client.submitSnapshot({ node, ...asked });
  if (result.case !== "accepted")
    throw new Error(`skipped: ${result.value?.detail ?? "no answer"}`);
  return result.value.requestId;
}

/** The one outcome of the group. */
async function prove(group: Partial<GroupInit>, fenceMs?: number): Promise<Outcome> {
  const requestId = await submit(group, fenceMs);
  const { session } = await client.getSession({ node, requestId, waitMs: 20_000 });
  const [outcome, ...others] = session?.outcomes ?? [];
  expect(others).toEqual([]);
  if (outcome === undefined) throw new Error("no outcome");
  return outcome;
}

async function expectVerified(outcome: Outcome, validators: readonly number[]): Promise<void> {
  expect(outcome).toMatchObject({
    status: OutcomeStatus.PROVED,
    participants: bits([...validators]),
  });
  const { data = {}, proof } = outcome;
  const publicKeys = validators.map((validator) => publicKey(validator));
  expect((await client.verifyAggregate({ node, data, proof, publicKeys })).valid).toBe(true);
}

/** Jobs that have ended so, as /metrics counts them. */
async function jobs(kind: "leaf" | "fold", result: string): Promise<number> {
  const { values } = await service.metrics.treeJobs.get();
  const of = (labels: object) => JSON.stringify(labels) === JSON.stringify({ kind, result });
  return values.find(({ labels }) => of(labels))?.value ?? 0;
}

const raws = (validators: readonly number[]) => validators.map((v) => inventedRaw(0, v));
const leftOut = (outcome: Outcome) =>
  outcome.leftOut.map(({ reason, input }) => [reason, input.value]);

describe.each([[["a"]], [["a", "b"]], [["a", "b", "c"]]])("on %j", (devices) => {
  test("nine raw signatures become five leaves and two folds, and one verified proof", async () => {
    await serve({ devices });
    const outcome = await prove({ rawSignatures: raws(range(9)) });
    await expectVerified(outcome, range(9));
    expect(outcome).toMatchObject({ attempt: 1, leftOut: [] });
    expect(await jobs("leaf", "proved")).toBe(5);
    // Four at once, and the fifth is left over: two.
    expect(await jobs("fold", "proved")).toBe(2);
  });

  test("bad inputs of any job are named, and what only a bad child covered is proved after all", async () => {
    await serve({ devices });
    const child = await prove({ rawSignatures: raws([10, 11]) });
    const { proof, participants } = child;
    const bad = { ...inventedRaw(0, 2), signature: inventedRaw(0, 3).signature };
    const outcome = await prove({
      rawSignatures: [...raws([0, 1, 3, 4]), bad],
      children: [
        { proof, participants },
        { proof, participants: bits([0, 12]) },
      ],
    });
    await expectVerified(outcome, [0, 1, 3, 4, 10, 11]);
    expect(outcome.childrenFolded).toEqual([0]);
    expect(leftOut(outcome)).toEqual([
      [LeftOutReason.BAD_SIGNATURE, 2],
      [LeftOutReason.BAD_CHILD, 1],
    ]);
  });
});

describe("a prover that", () => {
  // Three leaves, then a fold of two and one of the two that are left.
  test.each(range(5, 1))("dies in job %i is replaced, and the job is tried again", async (at) => {
    await serve({ failureOf: (proof) => (proof === at ? "death" : undefined) });
    await expectVerified(await prove({ rawSignatures: raws(range(6)) }), range(6));
    expect((await jobs("leaf", "failed")) + (await jobs("fold", "failed"))).toBe(1);
  });

  test("dies in every job ends the group after three deaths, with one outcome", async () => {
    await serve({ devices: ["a", "b"], failureOf: () => "death" });
    expect(await prove({ rawSignatures: raws(range(8)) })).toMatchObject({
      status: OutcomeStatus.FAILED,
      reason: OutcomeReason.PROVER_DIED,
    });
    expect(proofs).toBeLessThanOrEqual(4);
    expect(await prove({ rawSignatures: raws(range(2)) })).toMatchObject({
      status: OutcomeStatus.FAILED,
    });
  });

  test("reports an error twice for one leaf has it left out as shed", async () => {
    await serve({ failureOf: (proof) => (proof < 3 ? "error" : undefined) });
    const outcome = await prove({ rawSignatures: raws(range(4)) });
    expect(outcome.status).toBe(OutcomeStatus.PROVED);
    expect(outcome.leftOut.map(({ reason }) => reason)).toEqual([
      LeftOutReason.SHED,
      LeftOutReason.SHED,
    ]);
  });
});

test("a cancelled group has every job killed, and the devices prove the next", async () => {
  await serve({
    devices: ["a", "b"],
    failureOf: (proof) => (proof < 3 ? "hang" : undefined),
  });
  const requestId = await submit({ rawSignatures: raws(range(6)) });
  await expect.poll(() => proofs).toBe(2);
  const operator = createClient(
    AdminService,
    createGrpcTransport({ baseUrl: `http://${service.operatorAddress ?? ""}` }),
  );
  const { sessions } = await operator.listSessions({});
  expect(sessions[0]?.groups).toMatchObject([{ jobsDone: 0, jobs: 5, attempt: 1 }]);
  const { devices } = await operator.listProvers({});
  expect(devices.map(({ running }) => running?.sessionId)).toEqual(
    devices.map(() => sessions[0]?.sessionId),
  );
  const trees = [{ groupIndex: 0, leaves: 3, folds: 2, done: 0, tries: 2 }];
  const running = await client.getSession({ node, requestId });
  expect(running.session).toMatchObject({ outcomes: [], trees });
  const { session } = await client.cancelSession({ node, requestId });
  expect(session).toMatchObject({ outcomes: [{ status: OutcomeStatus.STOPPED }], trees });
  expect(await jobs("leaf", "stopped")).toBe(2);
  await expectVerified(await prove({ rawSignatures: raws(range(4)) }), range(4));
});

test("a session that has ended names the jobs of each group that had several", async () => {
  await serve({ failureOf: (proof) => (proof === 3 ? "death" : undefined) });
  const groups = [
    { data: inventedData(1), rawSignatures: [inventedRaw(1, 0)] },
    { data: inventedData(0), rawSignatures: raws(range(6)) },
  ];
  const requestId = await submitGroups(groups);
  const { session } = await client.getSession({ node, requestId, waitMs: 20_000 });
  expect(session?.summary).toBeDefined();
  // One job died and was tried again.
  expect(session?.trees).toMatchObject([{ groupIndex: 1, leaves: 3, folds: 2, done: 5, tries: 6 }]);
});

test("the operator's limit counts where it is lower than the prover's", async () => {
  await serve({ leafRawsMax: 3, foldLimits: { rawsMax: 10 } });
  await expectVerified(await prove({ rawSignatures: raws(range(7)) }), range(7));
  expect(await jobs("leaf", "proved")).toBe(3);
  expect(await jobs("fold", "proved")).toBe(1);
});

test("of a group over the limits, the best part may fit one job, and is then proved by one", async () => {
  await serve({ foldLimits: { rawsMax: 8 } });
  const outcome = await prove({ rawSignatures: raws(range(18)) }, TIGHT_FENCE_MS);
  expect(outcome.status).toBe(OutcomeStatus.PROVED);
  expect(outcome.leftOut.map(({ reason }) => reason)).toContain(LeftOutReason.SHED);
  expect(await jobs("leaf", "proved")).toBe(0);
});
