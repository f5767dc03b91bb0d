/** One contract over every protocol: retries, busy nodes, new epochs, cancelling. */
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { Accepted } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  BusyPolicy,
  DeviceState,
  OutcomeReason,
  OutcomeStatus,
  RequestState,
  SessionState,
  SkipReason,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { StreamResultsResponse } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Service } from "../../../server/service.js";
import {
  clientOver,
  Gate,
  inventedGroup,
  nodeFor,
  requestIdOf,
  protocolNames,
} from "../../../tools/harness/wire/contract.js";
import type { AggregatorClient } from "../../../tools/harness/wire/contract.js";
import { startTestService } from "../../helpers/start-service.js";
import { snapshot } from "../../../tools/harness/vectors.js";

const gate = new Gate();
let service: Service;
let observer: AggregatorClient;
beforeAll(async () => {
  service = await startTestService(gate.startProver);
  observer = clientOver(service, "gRPC");
});
/** Whether no session is in flight, and the device can begin the next proof at once. */
async function isIdle(): Promise<boolean> {
  const [inFlight] = (await service.metrics.sessionsInFlight.get()).values;
  const { devices } = await observer.getServerInfo({});
  return inFlight?.value === 0 && devices[0]?.state === DeviceState.IDLE;
}

afterEach(async () => {
  gate.open();
  await vi.waitUntil(isIdle, { timeout: 20_000 });
});
afterAll(() => service.close());

describe.each(protocolNames)("over %s", (protocol) => {
  let client: AggregatorClient;
  beforeAll(() => {
    client = clientOver(service, protocol);
  });

  const requestOf = (node: { nodeId: string; nodeEpoch: bigint }, groups = 1) => ({
    node,
    snapshot: snapshot(
      100,
      Array.from({ length: groups }, (_, n) => inventedGroup(n)),
    ),
    deadlineMs: 5000,
  });
  /** Every outcome's status and reason, once the session has ended. */
  async function endOf(node: { nodeId: string }, requestId: string) {
    const { session } = await client.getSession({ node, requestId, waitMs: 5000 });
    expect(session?.state).toBe(SessionState.ENDED);
    return session?.outcomes.map(({ status, reason }) => [status, reason]);
  }
  const proved = [OutcomeStatus.PROVED, OutcomeReason.UNSPECIFIED];
  const superseded = [OutcomeStatus.NOT_STARTED, OutcomeReason.SUPERSEDED];

  test("a second snapshot is skipped while the first is in flight, and told what is in the way", async () => {
    const node = nodeFor(protocol, "busy");
    gate.shut();
    const requestId = requestIdOf(await client.submitSnapshot(requestOf(node)));
    const { result } = await client.submitSnapshot(requestOf(node));
    expect(result).toMatchObject({
      case: "skipped",
      value: { reason: SkipReason.IN_FLIGHT, inFlightRequestId: requestId },
    });
  });

  test("a retry gets the first answer, whatever its budgets; other content is refused", async () => {
    const request = { ...requestOf(nodeFor(protocol, "retry")), requestId: "a" };
    gate.shut();
    const { result } = await client.submitSnapshot(request);
    const first = result.value as Accepted;
    for (const other of [{ deadlineMs: 9 }, { deadlineMs: 0 }, { fenceMs: 0 }]) {
      const again = await client.submitSnapshot({ ...request, ...other });
      expect(again.result).toMatchObject({
        case: "accepted",
        value: { requestId: "a", serviceId: first.serviceId, deadlineSource: first.deadlineSource },
      });
      // The times count from the receipt of this try.
      const { deadlineMs, fenceMs } = again.result.value as Accepted;
      expect(deadlineMs).toBeLessThanOrEqual(first.deadlineMs);
      expect(first.fenceMs - fenceMs).toBe(first.deadlineMs - deadlineMs);
    }
    const other = { ...request, snapshot: snapshot(101, [inventedGroup(0)]) };
    await expect(client.submitSnapshot(other)).rejects.toThrow(/request_id/);
  });

  test("a retry without time left under an unknown id is skipped, and starts nothing", async () => {
    const request = { ...requestOf(nodeFor(protocol, "late-retry")), requestId: "a" };
    for (const none of [{ deadlineMs: 0 }, { fenceMs: 0 }]) {
      const { result } = await client.submitSnapshot({ ...request, ...none });
      expect(result).toMatchObject({
        case: "skipped",
        value: {
          reason: SkipReason.PREDICTED_MISS,
          detail: expect.stringContaining("no earlier request with this request_id") as string,
        },
      });
    }
    expect((await client.submitSnapshot(request)).result.case).toBe("accepted");
  });

  test("a skip is not remembered: the same request is accepted once there is room", async () => {
    const node = nodeFor(protocol, "skip");
    gate.shut();
    const requestId = requestIdOf(await client.submitSnapshot(requestOf(node)));
    const request = { ...requestOf(node, 2), requestId: "a" };
    expect((await client.submitSnapshot(request)).result.case).toBe("skipped");
    await client.cancelSession({ node, requestId });
    const answers = [await client.submitSnapshot(request), await client.submitSnapshot(request)];
    const accepted = { result: { case: "accepted", value: { requestId: "a" } } };
    expect(answers).toMatchObject([accepted, accepted]);
  });

  test("with REPLACE the new session takes the place of what the old one has queued", async () => {
    const node = nodeFor(protocol, "replace");
    gate.shut();
    const old = requestIdOf(await client.submitSnapshot(requestOf(node, 3)));
    const busyPolicy = BusyPolicy.REPLACE;
    const next = requestIdOf(await client.submitSnapshot({ ...requestOf(node), busyPolicy }));
    gate.open();
    expect(await endOf(node, old)).toEqual([proved, superseded, superseded]);
    expect(await endOf(node, next)).toEqual([proved]);
  });

  test("a later run of the node ends the sessions of the earlier one, which is refused", async () => {
    const node = nodeFor(protocol, "epoch");
    gate.shut();
    const old = requestIdOf(await client.submitSnapshot(requestOf(node, 2)));
    const reborn = { ...node, nodeEpoch: 2n };
    const next = requestIdOf(await client.submitSnapshot(requestOf(reborn)));
    // While the later run has work in flight.
    const refused = await client.submitSnapshot(requestOf(node)).catch((error: unknown) => error);
    const text = expect.stringMatching(/^node_id_in_use: node_epoch is 1/) as string;
    expect(refused).toMatchObject({ code: Code.FailedPrecondition, rawMessage: text });
    gate.open();
    const stopped = [OutcomeStatus.STOPPED, OutcomeReason.SUPERSEDED];
    expect(await endOf(node, old)).toEqual([stopped, superseded]);
    expect(await endOf(reborn, next)).toEqual([proved]);
  });

  test("a stream of awaited requests alone ends with them, and refuses an unknown one", async () => {
    const node = nodeFor(protocol, "one session");
    const read = async (of: { nodeId: string }, ...awaited: object[]) => {
      const events: StreamResultsResponse["event"][] = [];
      const request = { node: of, awaited, awaitedOnly: true };
      const ended = await (async () => {
        for await (const { event } of client.streamResults(request)) events.push(event);
      })().catch((error: unknown) => ConnectError.from(error));
      return { events, ended, kinds: events.map((event) => event.case) };
    };
    const requestId = requestIdOf(await client.submitSnapshot(requestOf(node)));
    const whole = await read(node, { requestId });
    expect(whole).toMatchObject({
      kinds: ["opened", "sending", "outcome", "summary"],
      ended: undefined,
    });
    const again = await read(node, { requestId, receivedGroups: [0] });
    expect(again).toMatchObject({ kinds: ["opened", "summary"], ended: undefined });
    const opened = { awaited: [{ requestId, state: RequestState.ENDED }] };
    expect(again.events[0]).toMatchObject({ value: opened });
    // An unknown request, and another node's.
    const text = expect.stringMatching(/^awaited\[0\].request_id: no request /) as string;
    const unknown = { code: Code.NotFound, rawMessage: text };
    expect((await read(node, { requestId: "none" })).ended).toMatchObject(unknown);
    const stranger = nodeFor(protocol, "stranger");
    expect((await read(stranger, { requestId })).ended).toMatchObject(unknown);
  });

  test("cancelling ends a session or some of its groups, again and again, for its node only", async () => {
    const node = nodeFor(protocol, "cancel");
    gate.shut();
    const requestId = requestIdOf(await client.submitSnapshot(requestOf(node, 3)));
    const stranger = { node: nodeFor(protocol, "stranger"), requestId };
    await expect(client.cancelSession(stranger)).rejects.toThrow(/request_id/);
    const outside = { node, requestId, groupIndices: [3] };
    await expect(client.cancelSession(outside)).rejects.toThrow(/group_indices/);
    const some = await client.cancelSession({ node, requestId, groupIndices: [1] });
    expect(some.session?.outcomes.map(({ groupIndex }) => groupIndex)).toEqual([1]);
    const whole = await client.cancelSession({ node, requestId });
    expect(whole.session?.outcomes.map(({ reason }) => reason)).toEqual(
      Array(3).fill(OutcomeReason.CANCELLED),
    );
    expect(await client.cancelSession({ node, requestId })).toEqual(whole);
  });
});
