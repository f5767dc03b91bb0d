/** The stream of activities against a whole service, with a fake prover whose proofs the test ends. */
import { toBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AggregatorClient } from "../../../client/rpc/aggregator-client.js";
import { callAdmin, streamActivity } from "../../../client/rpc/operator-client.js";
import { ActivitySchema } from "../../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import type {
  Activity,
  StreamActivityResponse,
} from "../../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import {
  DeviceState,
  OutcomeReason,
  OutcomeStatus,
  SkipReason,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../server/limits.js";
import type { Service } from "../../../server/service.js";
import { fakeSnapshot } from "../../../tools/harness/fake-snapshots.js";
import { startTestService } from "../../helpers/start-service.js";
import { GatedProver } from "../schedule/gated-prover.js";

let prover: GatedProver;
let service: Service;
let client: AggregatorClient;
let ended: AbortController;

beforeEach(async () => {
  prover = new GatedProver();
  service = await startTestService(prover.start, { drainMs: 1 });
  client = new AggregatorClient({ address: service.addresses[0] ?? "" });
  ended = new AbortController();
});
afterEach(async () => {
  ended.abort();
  client.close();
  await service.close();
});

const stream = (noFollow = false) =>
  streamActivity(service.operatorAddress ?? "", { noFollow, signal: ended.signal });

const node = { nodeId: "node-1", nodeEpoch: 1n };
const budgets = { deadlineMs: 50_000, fenceMs: 60_000 };
const submit = (requestId: string) =>
  client.submitSnapshot({ node, requestId, snapshot: fakeSnapshot(1), ...budgets });

/** Reads until `isThere` holds for what has come so far. */
async function readUntil(
  answers: AsyncIterable<StreamActivityResponse>,
  isThere: (activities: Activity[]) => boolean,
): Promise<Activity[]> {
  const activities: Activity[] = [];
  for await (const answer of answers) {
    activities.push(...answer.activities);
    if (isThere(activities)) break;
  }
  return activities;
}

const has = (of: Activity["event"]["case"]) => (activities: Activity[]) =>
  activities.some(({ event }) => event.case === of);

const textOf = ({ event }: Activity): string => {
  switch (event.case) {
    case "lane": {
      const { state, proof, deviceId } = event.value;
      const raws = proof === undefined ? "" : ` ${proof.rawSignatures} raws`;
      return `lane ${deviceId} ${DeviceState[state]}${raws}`;
    }
    case "started":
      return `started on ${event.value.deviceId}`;
    case "ended": {
      const { status, reason } = event.value;
      return `ended ${OutcomeStatus[status]} ${OutcomeReason[reason]}`;
    }
    case "skipped":
      return `skipped ${SkipReason[event.value.reason]}`;
    default:
      return event.case ?? "?";
  }
};

test("a proof is seen from its acceptance to its end, live", async () => {
  const answers = stream();
  await submit("first");
  const before = await readUntil(answers, (all) => all.some(({ event }) => hasProof(event)));
  expect(before.map(textOf).slice(-4)).toEqual([
    "accepted",
    "started on cpu",
    "lane cpu PROVING",
    "lane cpu PROVING 2 raws",
  ]);
  await submit("second");
  prover.endProofs();
  const after = await readUntil(stream(), (all) => has("ended")(all) && has("skipped")(all));
  expect(after.map(textOf)).toContain("skipped IN_FLIGHT");
  expect(after.map(textOf)).toContain("ended PROVED UNSPECIFIED");
  const times = after.map(({ atMs }) => atMs);
  expect(times.every((atMs) => atMs > 0)).toBe(true);
});

const hasProof = (event: Activity["event"]) =>
  event.case === "lane" && event.value.proof !== undefined;

test("a proof that is ended by the operator is seen as stopped, and its node by its use", async () => {
  await submit("one");
  await prover.untilProofs(1);
  const [session] = (await callAdmin(service.operatorAddress ?? "", "listSessions", {})).sessions;
  await callAdmin(service.operatorAddress ?? "", "endSession", {
    sessionId: session?.sessionId ?? "",
  });
  const all = await readUntil(stream(), has("ended"));
  expect(all.map(textOf)).toContain("ended STOPPED CANCELLED");
});

test("without following, the answer has devices, their costs and nodes, and the stream ends", async () => {
  await submit("one");
  await prover.untilProofs(1);
  const answers: StreamActivityResponse[] = [];
  for await (const answer of stream(true)) answers.push(answer);
  expect(answers).toHaveLength(1);
  const [answer] = answers;
  expect(answer?.serviceId).toBe("test-service");
  expect(answer?.missed).toBe(0n);
  expect(answer?.complete).toBe(true);
  expect(answer?.devices.map(({ status }) => status?.deviceId)).toEqual(["cpu"]);
  const [device] = answer?.devices ?? [];
  const { proveMs = 0, proveMsLow = 0, proveMsHigh = 0 } = device?.learnedCosts[0] ?? {};
  expect(proveMsLow).toBeLessThanOrEqual(proveMs);
  expect(proveMsHigh).toBeGreaterThanOrEqual(proveMs);
  expect(answer?.nodes).toMatchObject([{ nodeId: "node-1", sessionsInFlight: 1 }]);
});

test("an answer says when all activities are sent, and only then has the devices", async () => {
  await submit("one");
  await prover.untilProofs(1);
  // Each is skipped: the node has a session in flight.
  for (let at = 0; at < limits.activitiesPerAnswerMax; at++) await submit(`more-${at}`);
  const answers: StreamActivityResponse[] = [];
  for await (const answer of stream(true)) answers.push(answer);
  const seen = answers.map(({ complete, devices }) => [complete, devices.length]);
  expect(seen).toEqual([
    [false, 0],
    [true, 1],
  ]);
});

test("all activities that are kept take less than a megabyte on the wire", async () => {
  await submit("one");
  await prover.untilProofs(1);
  prover.endProofs();
  const all = await readUntil(stream(), has("ended"));
  const bytes = all.map((activity) => toBinary(ActivitySchema, activity).length);
  const ofOne = bytes.reduce((sum, each) => sum + each, 0) / bytes.length;
  const kept = ofOne * limits.activitiesMax;
  if (process.env["BYTES"] === "1") {
    console.info(
      `${Math.round(ofOne)} bytes an activity, ${(kept / 1e6).toFixed(1)} MB of all kept`,
    );
  }
  expect(kept).toBeLessThan(1e6);
});

test("one stream too many is refused, and has its place when another ends", async () => {
  const open = Array.from({ length: limits.activityStreamsMax }, () => stream());
  for (const each of open) await each.next();
  await expect(stream(true).next()).rejects.toMatchObject({ kind: "overloaded" });
  await open[0]?.return(undefined);
  for (;;) {
    const again = await stream(true)
      .next()
      .catch(() => undefined);
    if (again !== undefined) break;
  }
});
