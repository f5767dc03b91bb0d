/** A node that submits and cancels again and again, over the wire: what it costs others. */
import { createClient } from "@connectrpc/connect";
import type { Client } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  AggregatorService,
  OutcomeReason,
  OutcomeStatus,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Outcome } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../server/limits.js";
import type { Service } from "../../../server/service.js";
import { inventedGroup } from "../../../tools/harness/wire/contract.js";
import { snapshot } from "../../../tools/harness/vectors.js";
import { listenTestService } from "../../helpers/start-service.js";
import { GatedProver } from "./gated-prover.js";

const ROUNDS = 3 * limits.killsPerMinuteMax;
/** The active prover, and its standby. */
const PROVERS = 2;

let service: Service;
let client: Client<typeof AggregatorService>;
let prover: GatedProver;

beforeEach(async () => {
  prover = new GatedProver();
  service = await listenTestService(prover.start, { standby: "1" });
  await service.ready();
  const baseUrl = `http://${service.addresses[0]}`;
  client = createClient(AggregatorService, createGrpcTransport({ baseUrl }));
});
afterEach(async () => {
  prover.endProofs();
  await service.close();
});

const untilStandby = () =>
  vi.waitFor(() => {
    const ready = service.provers().filter(({ role, isReady }) => role === "standby" && isReady);
    expect(ready).toHaveLength(1);
  }, 5000);

async function submit(nodeId: string, work: number) {
  const { result } = await client.submitSnapshot({
    node: { nodeId },
    snapshot: snapshot(100, [inventedGroup(work)]),
    deadlineMs: 30_000,
    fenceMs: 60_000,
  });
  if (result.case !== "accepted") throw new Error(`${nodeId} was skipped: ${result.value?.detail}`);
  return result.value.requestId;
}

async function outcome(nodeId: string, requestId: string): Promise<Outcome | undefined> {
  const request = { node: { nodeId }, requestId, waitMs: 10_000 };
  return (await client.getSession(request)).session?.outcomes[0];
}

test("restarts provers a few times a minute, and another node waits for one proof", async () => {
  const reasons = new Set<unknown>();
  let running = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const requestId = await submit("loop", round);
    // Later ones wait for the first that runs on.
    if (round <= limits.killsPerMinuteMax) await prover.untilProofs(++running);
    await client.cancelSession({ node: { nodeId: "loop" }, requestId });
    reasons.add((await outcome("loop", requestId))?.reason);
  }
  expect([...reasons]).toEqual([OutcomeReason.CANCELLED]);
  await untilStandby();
  expect(prover.proofs).toBe(running);
  expect(prover.provers).toBe(PROVERS + limits.killsPerMinuteMax);
  const other = await submit("other", 0);
  prover.endProofs();
  await prover.untilProofs(running + 1);
  prover.endProofs();
  expect((await outcome("other", other))?.status).toBe(OutcomeStatus.PROVED);
  expect(prover.provers).toBe(PROVERS + limits.killsPerMinuteMax);
});

test("leaves its last proof to a node that asks for the same", async () => {
  for (let round = 0; round <= limits.killsPerMinuteMax; round++) {
    const requestId = await submit("loop", round);
    await prover.untilProofs(round + 1);
    await client.cancelSession({ node: { nodeId: "loop" }, requestId });
  }
  const same = await submit("other", limits.killsPerMinuteMax);
  prover.endProofs();
  expect((await outcome("other", same))?.status).toBe(OutcomeStatus.PROVED);
  expect(prover.proofs).toBe(limits.killsPerMinuteMax + 1);
});
