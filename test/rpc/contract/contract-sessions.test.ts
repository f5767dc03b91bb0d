/** One contract over every protocol: retries, busy nodes, new epochs, cancelling. */
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  BusyPolicy,
  OutcomeReason,
  OutcomeStatus,
  SessionState,
  SkipReason,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Service } from "../../../server/service.js";
import {
  clientOver,
  Gate,
  inventedGroup,
  nodeFor,
  sessionIdOf,
  protocolNames,
} from "../../../tools/harness/contract.js";
import type { AggregatorClient } from "../../../tools/harness/contract.js";
import { startTestService } from "../../helpers/start-service.js";
import { snapshot } from "../../../tools/harness/vectors.js";

const gate = new Gate();
let service: Service;
beforeAll(async () => {
  service = await startTestService(gate.startProver);
});
afterEach(() => gate.open());
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
  async function endOf(node: { nodeId: string }, sessionId: string) {
    const { session } = await client.getSession({ node, sessionId, waitMs: 5000 });
    expect(session?.state).toBe(SessionState.ENDED);
    return session?.outcomes.map(({ status, reason }) => [status, reason]);
  }
  const proved = [OutcomeStatus.PROVED, OutcomeReason.UNSPECIFIED];
  const superseded = [OutcomeStatus.NOT_STARTED, OutcomeReason.SUPERSEDED];

  test("a second snapshot is skipped while the first is in flight, and told what is in the way", async () => {
    const node = nodeFor(protocol, "busy");
    gate.shut();
    const sessionId = sessionIdOf(await client.submitSnapshot(requestOf(node)));
    const { result } = await client.submitSnapshot(requestOf(node));
    expect(result).toMatchObject({
      case: "skipped",
      value: { reason: SkipReason.IN_FLIGHT, sessionId },
    });
  });

  test("a retry gets the first answer, whatever its budgets; other content is refused", async () => {
    const request = { ...requestOf(nodeFor(protocol, "retry")), requestId: "a" };
    gate.shut();
    const first = await client.submitSnapshot(request);
    expect(await client.submitSnapshot({ ...request, deadlineMs: 9 })).toEqual(first);
    expect(await client.submitSnapshot({ ...request, deadlineMs: 0 })).toEqual(first);
    expect(await client.submitSnapshot({ ...request, fenceMs: 0 })).toEqual(first);
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
    const sessionId = sessionIdOf(await client.submitSnapshot(requestOf(node)));
    const request = { ...requestOf(node, 2), requestId: "a" };
    expect((await client.submitSnapshot(request)).result.case).toBe("skipped");
    await client.cancelSession({ node, sessionId });
    const answer = await client.submitSnapshot(request);
    expect(answer.result.case).toBe("accepted");
    expect(await client.submitSnapshot(request)).toEqual(answer);
  });

  test("with REPLACE the new session takes the place of what the old one has queued", async () => {
    const node = nodeFor(protocol, "replace");
    gate.shut();
    const old = sessionIdOf(await client.submitSnapshot(requestOf(node, 3)));
    const busyPolicy = BusyPolicy.REPLACE;
    const next = sessionIdOf(await client.submitSnapshot({ ...requestOf(node), busyPolicy }));
    gate.open();
    expect(await endOf(node, old)).toEqual([proved, superseded, superseded]);
    expect(await endOf(node, next)).toEqual([proved]);
  });

  test("a new epoch of the node supersedes what its predecessor has queued", async () => {
    const node = nodeFor(protocol, "epoch");
    gate.shut();
    const old = sessionIdOf(await client.submitSnapshot(requestOf(node, 2)));
    const reborn = { ...node, nodeEpoch: 2n };
    const next = sessionIdOf(await client.submitSnapshot(requestOf(reborn)));
    gate.open();
    expect(await endOf(node, old)).toEqual([proved, superseded]);
    expect(await endOf(reborn, next)).toEqual([proved]);
  });

  test("a stream of one session ends when there is nothing to come, or with what GetSession says", async () => {
    const node = nodeFor(protocol, "one session");
    const kindsOf = async (of: { nodeId: string }, sessionId: string, cursor = "") => {
      const kinds: (string | undefined)[] = [];
      let last = cursor;
      const ended = await (async () => {
        for await (const { event, cursor } of client.streamResults({
          node: of,
          sessionId,
          cursor: last,
        })) {
          kinds.push(event.case);
          last = cursor;
        }
      })().catch((error: unknown) => ConnectError.from(error));
      return { kinds, last, ended };
    };
    const sessionId = sessionIdOf(await client.submitSnapshot(requestOf(node)));
    const whole = await kindsOf(node, sessionId);
    expect(whole).toMatchObject({ kinds: ["opened", "outcome", "summary"], ended: undefined });
    // It has ended, and the cursor is behind its summary.
    expect(await kindsOf(node, sessionId, whole.last)).toMatchObject({
      kinds: ["opened"],
      ended: undefined,
    });
    // An unknown session, and another node's.
    const unknown = { code: Code.NotFound, rawMessage: expect.stringMatching(/^session_id: no /) };
    expect((await kindsOf(node, "none")).ended).toMatchObject(unknown);
    const stranger = nodeFor(protocol, "stranger");
    expect((await kindsOf(stranger, sessionId)).ended).toMatchObject(unknown);
  });

  test("cancelling ends a session or some of its groups, again and again, for its node only", async () => {
    const node = nodeFor(protocol, "cancel");
    gate.shut();
    const sessionId = sessionIdOf(await client.submitSnapshot(requestOf(node, 3)));
    const stranger = { node: nodeFor(protocol, "stranger"), sessionId };
    await expect(client.cancelSession(stranger)).rejects.toThrow(/session_id/);
    const outside = { node, sessionId, groupIndices: [3] };
    await expect(client.cancelSession(outside)).rejects.toThrow(/group_indices/);
    const some = await client.cancelSession({ node, sessionId, groupIndices: [1] });
    expect(some.session?.outcomes.map(({ groupIndex }) => groupIndex)).toEqual([1]);
    const whole = await client.cancelSession({ node, sessionId });
    expect(whole.session?.outcomes.map(({ reason }) => reason)).toEqual(
      Array(3).fill(OutcomeReason.CANCELLED),
    );
    expect(await client.cancelSession({ node, sessionId })).toEqual(whole);
  });
});
