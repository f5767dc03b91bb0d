/** What is counted of verification, of deadlines and of refusals, against what nodes receive. */
import { createClient } from "@connectrpc/connect";
import type { Client } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Session } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  AggregatorService,
  OutcomeStatus,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { fakeSignature } from "../../../server/prover/fake/fake.js";
import { limits } from "../../../server/limits.js";
import { totalOf } from "../../../server/metrics/metric-table.js";
import type { NoMemoryCause } from "../../../server/reasons.js";
import type { Service } from "../../../server/service.js";
import { startBareServer } from "../../../tools/harness/wire/bare-server.js";
import { GatedProver } from "../schedule/gated-prover.js";
import { RawClient } from "../../../tools/harness/wire/raw-grpc.js";
import { startTestService } from "../../helpers/start-service.js";
import type { GroupInit } from "../../../tools/harness/vectors.js";
import { bits, dataOf, publicKey, rootOf, snapshot } from "../../../tools/harness/vectors.js";

const SLOT = 100;
const node = { nodeId: "measured" };
const VERIFIED = "lean_aggregator_server_verification_seconds_count";

let service: Service;
let client: Client<typeof AggregatorService>;
let prover: GatedProver;

beforeEach(async () => {
  prover = new GatedProver();
  service = await startTestService(prover.start);
  const baseUrl = `http://${service.addresses[0]}`;
  client = createClient(AggregatorService, createGrpcTransport({ baseUrl }));
});
afterEach(async () => {
  prover.endProofs();
  await service.close();
});

function raw(validatorIndex: number, slot = SLOT) {
  const signature = fakeSignature(publicKey(validatorIndex), rootOf(0), slot);
  return { validatorIndex, signature };
}
const badSignature = { ...raw(2), signature: fakeSignature(publicKey(2), rootOf(1), SLOT) };

async function submit(group: GroupInit, deadlineMs = 60_000, fenceMs = 120_000): Promise<string> {
  const request = { node, snapshot: snapshot(SLOT, [group]), deadlineMs, fenceMs };
  const { result } = await client.submitSnapshot(request);
  if (result.case !== "accepted") throw new Error("skipped");
  return result.value.requestId;
}

async function ended(requestId: string): Promise<Session["outcomes"]> {
  const { session } = await client.getSession({ node, requestId, waitMs: 10_000 });
  return session?.outcomes ?? [];
}

/** The value of a series by its name and labels, as `/metrics` has it. */
async function value(series: string): Promise<number> {
  const text = await service.metrics.registry.metrics();
  const line = text.split("\n").find((each) => each.startsWith(`${series} `));
  return Number(line?.slice(series.length + 1) ?? NaN);
}

test("every verdict on a signature or a proof is counted, and each proof's time taken", async () => {
  const garbage = { participants: bits([3, 4]), proof: new Uint8Array([1, 2, 3]) };
  const rawSignatures = [raw(0), raw(1), badSignature, raw(5, SLOT + 1)];
  const requestId = await submit({ data: dataOf(0), rawSignatures, children: [garbage] });
  await prover.untilProofs(1);
  prover.endProofs();
  const [outcome] = await ended(requestId);
  expect(outcome?.status).toBe(OutcomeStatus.PROVED);
  expect(outcome?.leftOut).toHaveLength(3);
  expect(await value("lean_aggregator_server_valid_signatures_total")).toBe(2);
  expect(await value("lean_aggregator_server_invalid_signatures_total")).toBe(2);
  expect(await value("lean_aggregator_server_valid_proofs_total")).toBe(1); // the proof made
  expect(await value("lean_aggregator_server_invalid_proofs_total")).toBe(1); // the child
  expect(await value(VERIFIED)).toBe(2);

  const { proof = new Uint8Array() } = outcome ?? {};
  const asked = { node, data: dataOf(0), proof, publicKeys: [publicKey(0), publicKey(1)] };
  expect((await client.verifyAggregate(asked)).valid).toBe(true);
  expect(await value(VERIFIED)).toBe(3);
});

describe("the votes of a group", () => {
  const votes = "lean_aggregator_server_votes_total";
  const series = (fate: string, reason = "", step = "") =>
    value(`${votes}{fate="${fate}",reason="${reason}",step="${step}"}`);
  const group = { data: dataOf(0), rawSignatures: [raw(0), raw(1)] };

  /** Every series of the metric that is not zero. */
  async function counted(): Promise<string[]> {
    const lines = (await service.metrics.registry.metrics()).split("\n");
    return lines.filter((line) => line.startsWith(`${votes}{`) && !line.endsWith(" 0"));
  }

  test("are counted from the start, so that a rate has the first of them", async () => {
    expect(await series("proved")).toBe(0);
    expect(await series("proved", "", "1")).toBe(0);
    expect(await series("proved_late", "", "after")).toBe(0);
    expect(await series("not_started", "min_inputs")).toBe(0);
    expect(await series("failed", "prover_died")).toBe(0);
    expect(await series("shed", "fence")).toBeNaN();
  });

  test("are proved before its deadline", async () => {
    const requestId = await submit(group);
    await prover.untilProofs(1);
    prover.endProofs();
    expect((await ended(requestId))[0]?.status).toBe(OutcomeStatus.PROVED);
    expect(await series("proved")).toBe(2);
    expect(await counted()).toHaveLength(1);
  });

  test("are stopped with its proof at the fence", async () => {
    const requestId = await submit(group, 1, 1500);
    expect((await ended(requestId))[0]?.status).toBe(OutcomeStatus.STOPPED);
    expect(await series("stopped", "fence")).toBe(2);
    expect(await counted()).toHaveLength(1);
  });

  test("are stopped with its proof when the node cancels it", async () => {
    const requestId = await submit(group);
    await prover.untilProofs(1);
    await client.cancelSession({ node, requestId });
    expect((await ended(requestId))[0]?.status).toBe(OutcomeStatus.STOPPED);
    expect(await series("stopped", "cancelled")).toBe(2);
    expect(await counted()).toHaveLength(1);
  });
});

test("a call that finds no memory left is counted, and nothing of it read", async () => {
  // Room for the headers of one call.
  const bare = await startBareServer({ bytesMax: limits.requestBytesMax });
  const refusals = (cause: NoMemoryCause) => totalOf(bare.metrics.unreadRefusals, { cause });
  try {
    const caller = new RawClient(bare.address);
    const [, second] = [caller.call("SubmitSnapshot"), caller.call("SubmitSnapshot")];
    second.stream.resume();
    expect(await second.status).toMatchObject({ code: 8 });
    expect(await refusals("budget")).toBe(1);
    expect(await refusals("share")).toBe(0);
    caller.close();
  } finally {
    await bare.close();
  }
});
