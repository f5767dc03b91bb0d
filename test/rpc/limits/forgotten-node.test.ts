/** A node that comes back after the service has forgotten it goes on, and learns what is unknown. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { TickAggregator } from "../../../client/index.js";
import {
  OutcomeStatus,
  RequestState,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { StreamResultsResponse } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../server/limits.js";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import type { Service } from "../../../server/service.js";
import type { AggregatorClient } from "../../../tools/harness/wire/contract.js";
import { clientOver, inventedGroup, outcomesOf } from "../../../tools/harness/wire/contract.js";
import { SkippingClock } from "../../../tools/harness/skipping-clock.js";
import { listenTestService } from "../../helpers/start-service.js";
import { startTcpProxy } from "../tcp-proxy.js";
import { snapshot } from "../../../tools/harness/vectors.js";

const WAIT = { timeout: 20_000 };
const SLOT = 100;

const clock = new SkippingClock();
let service: Service;
let client: AggregatorClient;
beforeEach(async () => {
  const prover = () => startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() });
  service = await listenTestService(prover, {}, { clock });
  await service.ready();
  client = clientOver(service, "gRPC");
});
afterEach(() => service.close());

const node = (nodeId: string) => ({ nodeId, nodeEpoch: 1n });

async function retained(nodeId: string, ...awaited: string[]): Promise<StreamResultsResponse[]> {
  const events = [];
  const named = awaited.map((requestId) => ({ requestId }));
  const request = { node: node(nodeId), awaited: named, retained: true, noFollow: true };
  for await (const event of client.streamResults(request)) events.push(event);
  return events;
}

/** Drops every event, and with them every node without a stream: a newcomer needs the room. */
async function forgetIdleNodes(nodeIds: readonly string[]): Promise<void> {
  clock.skip(limits.fenceMsMax + limits.retentionMs);
  for (const nodeId of nodeIds)
    await vi.waitFor(async () => expect(await retained(nodeId)).toHaveLength(1), WAIT);
  // A node that reads its results is known from then on.
  for (let other = 0; other < limits.nodesMax; other++) await retained(`newcomer-${other}`);
}

test("a forgotten node's request is unknown, and its next one is sent", async () => {
  await outcomesOf(client, node("busy"), [inventedGroup(0)]);
  const [before] = await outcomesOf(client, node("away"), [inventedGroup(0)]);
  const requestId = before?.requestId ?? "";
  const [told] = await retained("away", requestId);
  expect(told?.event.value).toMatchObject({ awaited: [{ requestId, state: RequestState.ENDED }] });
  await forgetIdleNodes(["busy", "away"]);
  const unknown = { awaited: [{ requestId, state: RequestState.UNKNOWN }] };
  const [opened, ...none] = await retained("away", requestId);
  expect(opened?.event.value).toMatchObject(unknown);
  expect(none).toEqual([]);
  await outcomesOf(client, node("away"), [inventedGroup(0)]);
  const [, ...events] = await retained("away", requestId);
  expect(events.map(({ event }) => event.case)).toEqual(["sending", "outcome", "summary"]);
});

test("an adapter that was cut off until it was forgotten goes on with its next snapshot", async () => {
  const address = service.addresses[0] ?? "";
  const proxy = await startTcpProxy(address);
  const adapter = new TickAggregator({
    endpoints: proxy.address,
    nodeId: "away",
    timeToFence: () => limits.fenceMsMax,
    onError: () => undefined,
  });
  const gates = { isAggregator: true, hasState: true };
  const submitAndTake = async (group: number) => {
    const work = () => snapshot(SLOT, [inventedGroup(group)]);
    await vi.waitUntil(() => "submitted" in adapter.submitOrSkip(SLOT, gates, work), WAIT);
    return vi.waitUntil(() => adapter.takeResults(SLOT)[0], WAIT);
  };
  const proved = { kind: "outcome", outcome: { status: OutcomeStatus.PROVED } };
  try {
    expect(await submitAndTake(0)).toMatchObject(proved);
    proxy.cut();
    await forgetIdleNodes(["away"]);
    proxy.cut(address);
    expect(await submitAndTake(1)).toMatchObject(proved);
  } finally {
    await adapter.close();
    await proxy.close();
  }
});
