/** Many nodes on one device, over the wire: who is next, who shares a proof, and who is preempted. */
import { setTimeout as delay } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import type { Client } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  AggregatorService,
  LeftOutReason,
  OutcomeReason,
  OutcomeStatus,
  PartialPolicy,
  Priority,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Outcome } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../server/limits.js";
import { fakeSignature, startFakeProver } from "../../../server/prover/fake/fake.js";
import type { LaneProver } from "../../../server/lane/lane-messages.js";
import type { Service } from "../../../server/service.js";
import { SkippingClock } from "../../../tools/harness/skipping-clock.js";
import { GatedProver } from "./gated-prover.js";
import type { StartProver } from "../../helpers/start-service.js";
import { listenTestService } from "../../helpers/start-service.js";
import {
  dataOf,
  groupsOfSlot,
  keyTable,
  publicKey,
  rootOf,
  snapshot,
} from "../../../tools/harness/vectors.js";

/** Of the test vectors' slots the one with three groups. */
const SLOT = 101;

let clock: SkippingClock;
let service: Service;
let client: Client<typeof AggregatorService>;
let prover: GatedProver;

async function start(standby: "0" | "1"): Promise<void> {
  prover = new GatedProver();
  await serve(prover.start, standby);
}

async function serve(startProver: StartProver, standby: "0" | "1"): Promise<void> {
  clock = new SkippingClock();
  service = await listenTestService(startProver, { standby }, { clock });
  await service.ready();
  client = createClient(
    AggregatorService,
    createGrpcTransport({ baseUrl: `http://${service.addresses[0]}` }),
  );
}
afterEach(async () => {
  prover.endProofs();
  await service.close();
});

interface Asked {
  raws?: number;
  groups?: number;
  priority?: Priority;
  deadlineMs?: number;
  fenceMs?: number;
  /** Added to the index of every validator. */
  shift?: number;
  mayShed?: boolean;
}

/** The session of a node that submits groups with so many raw signatures. */
async function submit(nodeId: string, asked: Asked = {}): Promise<string> {
  const { raws = 2, groups = 1, shift = 0, mayShed = true } = asked;
  const group = (vector: number) => ({
    data: dataOf(vector),
    rawSignatures: Array.from({ length: raws }, (_, v) => ({
      validatorIndex: v + shift,
      signature: fakeSignature(publicKey(v), rootOf(vector), SLOT),
    })),
  });
  const keys = keyTable().map((entry) => ({
    ...entry,
    validatorIndex: entry.validatorIndex + shift,
  }));
  const all = groupsOfSlot(SLOT).slice(0, groups).map(group);
  const { result } = await client.submitSnapshot({
    node: { nodeId },
    snapshot: snapshot(SLOT, all, keys),
    priority: asked.priority ?? Priority.AGGREGATION,
    deadlineMs: asked.deadlineMs ?? 30_000,
    fenceMs: asked.fenceMs ?? 60_000,
    partialPolicy: mayShed ? PartialPolicy.ALLOW : PartialPolicy.FORBID,
  });
  if (result.case !== "accepted") throw new Error(`${nodeId} was skipped: ${result.value?.detail}`);
  return result.value.requestId;
}

async function outcomes(nodeId: string, requestId: string): Promise<Outcome[]> {
  const request = { node: { nodeId }, requestId, waitMs: 10_000 };
  return (await client.getSession(request)).session?.outcomes ?? [];
}

async function outcome(nodeId: string, requestId: string): Promise<Outcome> {
  const [only] = await outcomes(nodeId, requestId);
  if (only === undefined) throw new Error(`${nodeId} has no outcome`);
  return only;
}

const validators = ({ participants }: Outcome) =>
  [...participants].flatMap((byte, at) =>
    [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => (byte >> bit) & 1).map((bit) => at * 8 + bit),
  );

describe("identical work", () => {
  beforeEach(() => start("0"));

  test("of eight nodes is proved once, and each gets it in its own numbering", async () => {
    const sessions = [await submit("node-0")];
    await prover.untilProofs(1);
    for (let at = 1; at < 8; at++) sessions.push(await submit(`node-${at}`, { shift: at }));
    prover.endProofs();
    for (const [at, session] of sessions.entries()) {
      const { status, ...proved } = await outcome(`node-${at}`, session);
      expect(status).toBe(OutcomeStatus.PROVED);
      expect(validators(proved as Outcome)).toEqual([at, at + 1]);
    }
    expect(prover.proofs).toBe(1);
  });

  test("that waits is started together, wherever it stands in a node's order", async () => {
    await submit("first", { raws: 3 });
    await prover.untilProofs(1);
    const one = await submit("a");
    const two = await submit("b", { groups: 2 });
    prover.endProofs();
    await prover.untilProofs(2);
    prover.endProofs();
    expect((await outcome("a", one)).status).toBe(OutcomeStatus.PROVED);
    await prover.untilProofs(3);
    prover.endProofs();
    expect(await outcomes("b", two)).toHaveLength(2);
    expect(prover.proofs).toBe(3);
  });

  test("is late for the one whose deadline has passed, in time for the others", async () => {
    const inTime = await submit("a");
    await prover.untilProofs(1);
    const late = await submit("b", { deadlineMs: 1 });
    prover.endProofs();
    expect((await outcome("a", inTime)).status).toBe(OutcomeStatus.PROVED);
    expect((await outcome("b", late)).status).toBe(OutcomeStatus.PROVED_LATE);
  });

  test("ends at the fence for the one whose fence comes, and runs on for the others", async () => {
    const long = await submit("a");
    await prover.untilProofs(1);
    // The optimistic prediction for two raws is below a second.
    const short = await submit("b", { fenceMs: 1000 });
    expect(await outcome("b", short)).toMatchObject({
      status: OutcomeStatus.STOPPED,
      reason: OutcomeReason.FENCE,
    });
    prover.endProofs();
    expect((await outcome("a", long)).status).toBe(OutcomeStatus.PROVED);
    expect(prover.provers).toBe(1);
  });

  test("is killed when the last that waits for it has cancelled, not before", async () => {
    const one = await submit("a");
    await prover.untilProofs(1);
    const two = await submit("b");
    await client.cancelSession({ node: { nodeId: "a" }, requestId: one });
    expect((await outcome("a", one)).reason).toBe(OutcomeReason.CANCELLED);
    expect(prover.provers).toBe(1);
    await client.cancelSession({ node: { nodeId: "b" }, requestId: two });
    const three = await submit("c");
    await prover.untilProofs(2);
    expect(prover.provers).toBe(2);
    prover.endProofs();
    expect((await outcome("c", three)).status).toBe(OutcomeStatus.PROVED);
  });

  test("is shared by one that forbids parts, as long as nothing is shed", async () => {
    const one = await submit("a");
    await prover.untilProofs(1);
    const two = await submit("b", { mayShed: false });
    prover.endProofs();
    expect((await outcome("a", one)).status).toBe(OutcomeStatus.PROVED);
    expect((await outcome("b", two)).status).toBe(OutcomeStatus.PROVED);
    expect(prover.proofs).toBe(1);
  });

  test("is proved once more for the one that forbids parts, when some of it was shed", async () => {
    const part = await submit("a", { raws: 64, fenceMs: 1500 });
    await prover.untilProofs(1);
    const whole = await submit("b", { raws: 64, mayShed: false });
    prover.endProofs();
    expect(validators(await outcome("a", part)).length).toBeLessThan(64);
    await prover.untilProofs(2);
    prover.endProofs();
    expect(validators(await outcome("b", whole))).toHaveLength(64);
  });
});

test("a proof cut for a short fence is not for the one who joined with more time", async () => {
  await start("0");
  const hasty = await submit("a", { raws: 64, fenceMs: 1500 });
  await prover.untilProofs(1);
  const patient = await submit("b", { raws: 64 });
  const asHasty = await submit("c", { raws: 64, fenceMs: 1500 });
  prover.endProofs();
  expect(validators(await outcome("a", hasty)).length).toBeLessThan(64);
  expect(validators(await outcome("c", asHasty)).length).toBeLessThan(64);
  await prover.untilProofs(2);
  prover.endProofs();
  expect(validators(await outcome("b", patient))).toHaveLength(64);
});

describe("a group that would miss its fence", () => {
  /** Nothing is learned yet: a proof may take four times the table's 0.8 s and more. */
  const tooShort = { raws: 64, fenceMs: 1000 };

  /** Validators of the only group, once its proof has been let through. */
  async function proved(nodeId: string, asked: Asked): Promise<Outcome> {
    const before = prover.proofs;
    const session = await submit(nodeId, asked);
    await prover.untilProofs(before + 1);
    prover.endProofs();
    return outcome(nodeId, session);
  }

  test("is cut: the rest is named as shed, with its digest", async () => {
    await start("0");
    const part = await proved("a", tooShort);
    expect(part.status).toBe(OutcomeStatus.PROVED);
    // In a second 64 are ready with a chance of 0.16, less than the least; 38 times 0.38 is most.
    const kept = validators(part).length;
    expect(kept).toBeGreaterThan(20);
    expect(kept).toBeLessThan(60);
    expect(part.leftOut).toHaveLength(64 - kept);
    for (const { reason, digest } of part.leftOut) {
      expect(reason).toBe(LeftOutReason.SHED);
      expect(digest).toHaveLength(32);
    }
    const named = part.leftOut.map(({ input }) => input.value);
    expect([...named, ...validators(part)].sort((a, b) => Number(a) - Number(b))).toEqual(
      Array.from({ length: 64 }, (_, v) => v),
    );
  });

  test("is started whole on an idle device where its request forbids parts", async () => {
    await start("0");
    const whole = await proved("a", { ...tooShort, mayShed: false });
    expect(validators(whole)).toHaveLength(64);
  });

  test("but a whole that is predicted to miss is tried once in a while only", async () => {
    const sleep = (ms: number) => delay(ms, undefined);
    await serve(() => startFakeProver({ proveMs: ({ raws }) => raws * 60, sleep }), "0");
    const hopeless = { raws: 63, fenceMs: 1500, mayShed: false };
    const tried = await outcome("a", await submit("a", hopeless));
    expect(tried.reason).toBe(OutcomeReason.FENCE);
    const again = await outcome("b", await submit("b", { ...hopeless, raws: 61 }));
    expect(again.reason).toBe(OutcomeReason.PREDICTED_MISS);
    // What may be cut is represented all the same, in part.
    const part = await outcome("c", await submit("c", { raws: 62, fenceMs: 5000 }));
    expect(part.status).toBe(OutcomeStatus.PROVED);
  });

  test("and ends predicted_miss where it is not the first of its session", async () => {
    const sleep = (ms: number) => delay(ms, undefined);
    await serve(() => startFakeProver({ proveMs: ({ raws }) => raws * 30, sleep }), "0");
    const session = await submit("a", { raws: 64, groups: 2, fenceMs: 3000, mayShed: false });
    const [, second] = await outcomes("a", session);
    expect(second).toMatchObject({
      status: OutcomeStatus.NOT_STARTED,
      reason: OutcomeReason.PREDICTED_MISS,
    });
  });
});

test("a first group that has waited is not tried where it would miss", async () => {
  await start("0");
  await submit("a", { raws: 3 });
  await prover.untilProofs(1);
  const late = await submit("b", { raws: 64, fenceMs: 3000, mayShed: false });
  clock.skip(2400);
  prover.endProofs();
  expect((await outcome("b", late)).reason).toBe(OutcomeReason.PREDICTED_MISS);
  expect(prover.proofs).toBe(1);
});

describe("the order between nodes", () => {
  beforeEach(() => start("0"));

  test("a node that floods delays a quiet one by one proof at most", async () => {
    const flood = await submit("flood", { groups: 3, raws: 3 });
    await prover.untilProofs(1);
    const quiet = await submit("quiet");
    // A proof of less than a tenth of what is typical would not count as used.
    clock.skip(500);
    prover.endProofs();
    await prover.untilProofs(2);
    prover.endProofs();
    expect((await outcome("quiet", quiet)).status).toBe(OutcomeStatus.PROVED);
    expect(await client.getSession({ node: { nodeId: "flood" }, requestId: flood })).toMatchObject({
      session: { outcomes: [{ status: OutcomeStatus.PROVED }] },
    });
  });

  test("a proposal is next, before aggregation that came first", async () => {
    await submit("busy", { raws: 3 });
    await prover.untilProofs(1);
    await submit("a", { raws: 4 });
    const proposal = await submit("b", { raws: 5, priority: Priority.PROPOSAL });
    prover.endProofs();
    await prover.untilProofs(2);
    prover.endProofs();
    expect((await outcome("b", proposal)).status).toBe(OutcomeStatus.PROVED);
  });
});

describe("a running backlog proof", () => {
  const isReadyStandby = ({ role, isReady }: LaneProver) => role === "standby" && isReady;
  const backlog = { priority: Priority.BACKLOG, raws: 60 };

  test("is killed for aggregation that would miss its deadline otherwise", async () => {
    await start("1");
    await vi.waitFor(() => expect(service.provers().filter(isReadyStandby)).toHaveLength(1), 5000);
    const old = await submit("a", backlog);
    await prover.untilProofs(1);
    const urgent = await submit("b", { deadlineMs: 750 });
    expect(await outcome("a", old)).toMatchObject({
      status: OutcomeStatus.STOPPED,
      reason: OutcomeReason.PREEMPTED,
    });
    await prover.untilProofs(2);
    prover.endProofs();
    expect((await outcome("b", urgent)).status).not.toBe(OutcomeStatus.NOT_STARTED);
  });

  test("is killed for others so often only, then runs to its end", async () => {
    await start("1");
    const hasStandby = () => expect(service.provers().filter(isReadyStandby)).toHaveLength(1);
    let proofs = 0;
    for (let round = 0; round < limits.proofsBeforeBacklog; round++) {
      await vi.waitFor(hasStandby, 5000);
      const old = await submit("a", backlog);
      await prover.untilProofs(++proofs);
      const urgent = await submit("b", { deadlineMs: 750 });
      expect((await outcome("a", old)).reason).toBe(OutcomeReason.PREEMPTED);
      await prover.untilProofs(++proofs);
      prover.endProofs();
      await outcome("b", urgent);
    }
    await vi.waitFor(hasStandby, 5000);
    const last = await submit("a", backlog);
    await prover.untilProofs(++proofs);
    // Skipped, or accepted and never started, by what was learned: nothing is killed for it.
    const urgent = await submit("b", { deadlineMs: 750 }).catch(() => undefined);
    if (urgent !== undefined) await outcome("b", urgent);
    prover.endProofs();
    expect((await outcome("a", last)).status).toBe(OutcomeStatus.PROVED);
  });

  test("runs on when the other can wait for it", async () => {
    await start("1");
    const old = await submit("a", backlog);
    await prover.untilProofs(1);
    const patient = await submit("b", { deadlineMs: 30_000 });
    prover.endProofs();
    expect((await outcome("a", old)).status).toBe(OutcomeStatus.PROVED);
    await prover.untilProofs(2);
    prover.endProofs();
    expect((await outcome("b", patient)).status).toBe(OutcomeStatus.PROVED);
  });

  test("is not killed once a node that does not wait in backlog shares it", async () => {
    await start("1");
    const old = await submit("a", backlog);
    await prover.untilProofs(1);
    const sharing = await submit("b", { raws: 60 });
    const refused = submit("c", { deadlineMs: 200 });
    await expect(refused).rejects.toThrow("c was skipped");
    prover.endProofs();
    expect((await outcome("a", old)).status).toBe(OutcomeStatus.PROVED);
    expect((await outcome("b", sharing)).status).toBe(OutcomeStatus.PROVED);
  });
});
