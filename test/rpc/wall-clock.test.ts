/**
 * The system's clock jumps by an hour while snapshots are under way, both ways: the
 * four points at which deadline and fence are kept do not notice, and nothing is lost.
 */
import { once } from "node:events";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { AggregatorClient, TickAggregator } from "../../client/index.js";
import type { TickResult } from "../../client/index.js";
import {
  DeadlineSource,
  OutcomeReason,
  OutcomeStatus,
  Priority,
  SessionState,
  SkipReason,
  SubmitSnapshotRequestSchema,
  SubmitSnapshotResponseSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Accepted, Outcome } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Service } from "../../server/service.js";
import {
  clientOver,
  inventedGroup,
  requestIdOf,
  streamOf,
} from "../../tools/harness/wire/contract.js";
import { GatedProver } from "./schedule/gated-prover.js";
import { frame, RawClient } from "../../tools/harness/wire/raw-grpc.js";
import { listenTestService } from "../helpers/start-service.js";
import { StandingClock } from "../../tools/harness/standing-clock.js";
import { snapshot } from "../../tools/harness/vectors.js";
import { holdWallClock, jumps, jumpWallClock, releaseWallClock } from "./wall-clock.js";

const LONG_MS = 60_000;
const LONG = { deadlineMs: LONG_MS, fenceMs: LONG_MS };
/** Longer than a few calls take, and short enough to be waited for. */
const SHORT_MS = 2000;
/** By the cost table a proof of so many takes 2 s, and 1 s at the very least. */
const MANY = Array.from({ length: 64 }, (_, validator) => validator);
const PADDING_BYTES = 1_000_000;

let madeGroups = 0;
/** No two alike, for identical work is proved once. */
const newGroup = () => inventedGroup(madeGroups++, MANY);

let prover: GatedProver;
let service: Service;
let clock: StandingClock;
beforeEach(async () => {
  prover = new GatedProver();
  clock = new StandingClock();
  const devices = [0, 1].map((core) => ({ id: `device-${String(core)}`, cores: [core] }));
  service = await listenTestService(prover.start, { devices }, { clock });
  await service.ready();
  holdWallClock();
});
afterEach(async () => {
  releaseWallClock();
  clock.run();
  prover.endProofs();
  await service.close();
});

describe.each(["gRPC", "Connect, HTTP/2"])("over %s", (protocol) => {
  let client: ReturnType<typeof clientOver>;
  beforeEach(() => {
    client = clientOver(service, protocol);
  });

  async function submit(
    nodeId: string,
    budgets: { deadlineMs: number; fenceMs: number },
    groups = 1,
    priority = Priority.AGGREGATION,
  ): Promise<string> {
    const work = Array.from({ length: groups }, () => newGroup());
    const request = { node: { nodeId }, snapshot: snapshot(100, work), ...budgets, priority };
    return requestIdOf(await client.submitSnapshot(request));
  }

  const sessionOf = async (nodeId: string, requestId: string, waitMs = 0) =>
    (await client.getSession({ node: { nodeId }, requestId, waitMs })).session;

  /** Every outcome of a session that has ended, each group told once and the summary last. */
  async function endOf(nodeId: string, requestId: string): Promise<Outcome[]> {
    const session = await sessionOf(nodeId, requestId, 5000);
    expect(session?.state).toBe(SessionState.ENDED);
    const told: string[] = [];
    for await (const { event } of client.streamResults(streamOf({ nodeId }, requestId))) {
      if (event.case === "outcome") told.push(`group ${String(event.value.groupIndex)}`);
      else if (event.case === "summary") told.push(String(event.case));
    }
    const outcomes = session?.outcomes ?? [];
    const groups = outcomes.map(({ groupIndex }) => `group ${String(groupIndex)}`);
    expect(told.slice(0, -1).sort()).toEqual(groups);
    expect(told.at(-1)).toBe("summary");
    return outcomes;
  }

  const endings = (outcomes: readonly Outcome[]) =>
    outcomes.map(({ status, reason }) => [OutcomeStatus[status], OutcomeReason[reason]]);

  /** A node's proof on each device, so that what comes next is queued. */
  async function occupyDevices(): Promise<[string, string]> {
    const first = await submit("first", LONG);
    const second = await submit("second", LONG);
    await prover.untilProofs(2);
    return [first, second];
  }

  test.each(jumps)(
    "accept: a call's own deadline counts from its headers, though the clock jumps an hour %s before the message is there",
    async (_, byMs) => {
      // The calls take nothing of the time that the running proofs have to go.
      clock.stand();
      await occupyDevices();
      // Of a higher class, so that they are before what comes, whatever that is worth.
      for (const nodeId of ["a", "b", "c", "d"]) await submit(nodeId, LONG, 1, Priority.PROPOSAL);
      const raw = new RawClient(service.addresses[0] ?? "");
      const roomy = openSubmission(raw, "roomy", "30S");
      const tight = openSubmission(raw, "tight", "900m");
      await once(raw.session, "connect");
      await raw.ping();
      jumpWallClock(byMs);
      const accepted = await roomy();
      expect(accepted).toMatchObject({
        case: "accepted",
        value: { deadlineMs: 30_000, deadlineSource: DeadlineSource.CALL },
      });
      const { requestId } = accepted.value as Accepted;
      // With four before it no device can be free by then.
      expect(await tight()).toMatchObject({
        case: "skipped",
        value: { reason: SkipReason.PREDICTED_MISS },
      });
      raw.close();
      clock.run();
      while ((await sessionOf("roomy", requestId))?.state !== SessionState.ENDED)
        prover.endProofs();
      const [outcome] = await endOf("roomy", requestId);
      expect(outcome?.status).toBe(OutcomeStatus.PROVED);
      expect(outcome?.queueMs).toBeLessThan(30_000);
    },
  );

  test.each(jumps)(
    "dispatch: no group is started after its deadline, and no group is refused before, though the clock jumps an hour %s while they are queued",
    async (_, byMs) => {
      const short = { deadlineMs: SHORT_MS, fenceMs: LONG_MS };
      const submittedMs = performance.now();
      const inTime = await submit("short", short, 3);
      await prover.untilProofs(2);
      const queued = await submit("long", LONG);
      jumpWallClock(byMs);
      const third = await outcomeOf("short", inTime, 2);
      expect(endings([third])).toEqual([["NOT_STARTED", "DEADLINE"]]);
      expect(performance.now() - submittedMs).toBeGreaterThanOrEqual(SHORT_MS);
      expect(prover.proofs).toBe(2);
      expect((await sessionOf("long", queued))?.outcomes).toEqual([]);
      prover.endProofs();
      await prover.untilProofs(3);
      prover.endProofs();
      expect(endings(await endOf("short", inTime))).toEqual([
        ["PROVED_LATE", "UNSPECIFIED"],
        ["PROVED_LATE", "UNSPECIFIED"],
        ["NOT_STARTED", "DEADLINE"],
      ]);
      expect(endings(await endOf("long", queued))).toEqual([["PROVED", "UNSPECIFIED"]]);
    },
  );

  test.each(jumps)(
    "mid-proof: a proof is killed at its fence and another runs on, though the clock jumps an hour %s meanwhile",
    async (_, byMs) => {
      const submittedMs = performance.now();
      const fenced = await submit("fenced", { deadlineMs: SHORT_MS, fenceMs: SHORT_MS });
      const free = await submit("free", LONG);
      await prover.untilProofs(2);
      jumpWallClock(byMs);
      expect(endings(await endOf("fenced", fenced))).toEqual([["STOPPED", "FENCE"]]);
      expect(performance.now() - submittedMs).toBeGreaterThanOrEqual(SHORT_MS);
      expect((await sessionOf("free", free))?.state).toBe(SessionState.IN_FLIGHT);
      prover.endProofs();
      expect(endings(await endOf("free", free))).toEqual([["PROVED", "UNSPECIFIED"]]);
      // Two at first, and one for the prover that was killed.
      expect(prover.provers).toBe(3);
    },
  );

  test.each(jumps)(
    "delivery: a proof is given out up to its fence and not from then on, though the clock jumps an hour %s before it is made",
    async (_, byMs) => {
      const budgets = { deadlineMs: SHORT_MS, fenceMs: SHORT_MS };
      const proved = await submit("proved", budgets);
      await prover.untilProofs(1);
      jumpWallClock(byMs);
      prover.endProofs();
      const [outcome] = await endOf("proved", proved);
      expect(endings(outcome === undefined ? [] : [outcome])).toEqual([["PROVED", "UNSPECIFIED"]]);
      expect(outcome?.proof.length).toBeGreaterThan(0);
      expect(await streamedProofBytes("proved")).toBeGreaterThan(0);
      // Submitted later, with the same fence: once it is stopped, the first one's has passed too.
      const stopped = await submit("stopped", budgets);
      expect(endings(await endOf("stopped", stopped))).toEqual([["STOPPED", "FENCE"]]);
      expect((await endOf("proved", proved))[0]?.proof.length).toBe(0);
      expect(await streamedProofBytes("proved")).toBe(0);
    },
  );

  test.each(jumps)(
    "a call that waits ends with its own timeout and not with the clock, which jumps an hour %s meanwhile",
    async (_, byMs) => {
      const [requestId] = await occupyDevices();
      const request = { node: { nodeId: "first" }, requestId, waitMs: LONG_MS };
      const startedMs = performance.now();
      const cut = client.getSession(request, { timeoutMs: SHORT_MS });
      const whole = client.getSession(request, { timeoutMs: LONG_MS });
      cut.catch(() => undefined);
      jumpWallClock(byMs);
      await expect(cut).rejects.toThrow(/deadline_exceeded/);
      expect(performance.now() - startedMs).toBeGreaterThanOrEqual(SHORT_MS - 1);
      // The end of one call has not ended the session that it waited for.
      prover.endProofs();
      expect((await whole).session?.outcomes).toMatchObject([{ status: OutcomeStatus.PROVED }]);
    },
  );

  /** The outcome of one group, though others of its session still run. */
  async function outcomeOf(nodeId: string, requestId: string, group: number): Promise<Outcome> {
    const request = streamOf({ nodeId }, requestId);
    const enough = new AbortController();
    try {
      for await (const { event } of client.streamResults(request, { signal: enough.signal })) {
        if (event.case === "outcome" && event.value.groupIndex === group) return event.value;
      }
    } finally {
      enough.abort();
    }
    throw new Error(`no outcome of group ${String(group)}`);
  }

  async function streamedProofBytes(nodeId: string): Promise<number> {
    let bytes = 0;
    const request = { node: { nodeId }, retained: true, noFollow: true };
    for await (const { event } of client.streamResults(request)) {
      if (event.case === "outcome") bytes += event.value.proof.length;
    }
    return bytes;
  }
});

test.each(jumps)(
  "the adapter's snapshot is accepted and its result taken once, though the clock jumps an hour %s between the call and its headers",
  async (_, byMs) => {
    const { submitEncoded } = AggregatorClient.prototype;
    const sending = vi.spyOn(AggregatorClient.prototype, "submitEncoded");
    // Of grpc-js, the timeout on the wire is made of two readings of the system's clock.
    sending.mockImplementationOnce(function (this: AggregatorClient, ...call) {
      const answer = submitEncoded.apply(this, call);
      jumpWallClock(byMs);
      return answer;
    });
    const adapter = new TickAggregator({
      endpoints: String(service.addresses[0]),
      nodeId: "adapter",
      timeToFence: () => LONG_MS,
    });
    try {
      const gates = { isAggregator: true, hasState: true };
      // Not read at once, so that a call whose clock has run ahead is over before it is answered.
      const padding = { validatorIndex: 99, signature: new Uint8Array(PADDING_BYTES) };
      const group = newGroup();
      group.rawSignatures?.push(padding);
      const work = () => snapshot(100, [group]);
      adapter.submitOrSkip(100, gates, work, { deadlineMs: 20_000 });
      await prover.untilProofs(1);
      prover.endProofs();
      const results: TickResult[] = [];
      await vi.waitUntil(() => results.push(...adapter.takeResults(100)) > 0, { timeout: 5000 });
      await adapter.close();
      results.push(...adapter.takeResults(100));
      expect(results).toMatchObject([
        { kind: "outcome", outcome: { status: OutcomeStatus.PROVED } },
      ]);
    } finally {
      await adapter.close();
      sending.mockRestore();
    }
  },
);

/** Sends the headers of a submission; the function returned sends the message. */
function openSubmission(client: RawClient, nodeId: string, timeout: string) {
  const call = client.call("SubmitSnapshot", { "grpc-timeout": timeout });
  const request = { node: { nodeId }, snapshot: snapshot(100, [newGroup()]), fenceMs: LONG_MS };
  const message = create(SubmitSnapshotRequestSchema, request);
  return async () => {
    const chunks: Buffer[] = [];
    call.stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    const status = await call.end(frame(toBinary(SubmitSnapshotRequestSchema, message)));
    expect(status.code, status.message).toBe(0);
    return fromBinary(SubmitSnapshotResponseSchema, Buffer.concat(chunks).subarray(5)).result;
  };
}
