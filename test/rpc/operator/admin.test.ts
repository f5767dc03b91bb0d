/** The operator's calls against a whole service, with a fake prover whose proofs the test ends. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { callAdmin } from "../../../client/rpc/operator-client.js";
import type { AdminMethod, AdminRequest } from "../../../client/rpc/operator-client.js";
import { AggregatorClient } from "../../../client/rpc/aggregator-client.js";
import type { AggregatorErrorKind } from "../../../client/errors.js";
import {
  GroupState,
  LogLevel,
  ProverRole,
} from "../../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import {
  DeviceState,
  OutcomeReason,
  OutcomeStatus,
  Priority,
  SkipReason,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Service } from "../../../server/service.js";
import { fakeSnapshot } from "../../../tools/harness/fake-snapshots.js";
import { GatedProver } from "../schedule/gated-prover.js";
import { startTestService } from "../../helpers/start-service.js";

let prover: GatedProver;
let service: Service;
let client: AggregatorClient;

async function start(settings: Record<string, unknown> = {}) {
  prover = new GatedProver();
  service = await startTestService(prover.start, settings);
  client = new AggregatorClient({ address: service.addresses[0] ?? "" });
}
async function stop() {
  client.close();
  await service.close();
}
beforeEach(() => start({ drainMs: 1 }));
afterEach(stop);

const admin = <M extends AdminMethod>(method: M, request: AdminRequest<M>) =>
  callAdmin(service.operatorAddress ?? "", method, request);
const devices = async () => (await admin("listProvers", {})).devices;
const sessions = async () => (await admin("listSessions", {})).sessions;
const readiness = async () => (await fetch(`http://${service.probesAddress}/readyz`)).text();

const node = { nodeId: "node-1", nodeEpoch: 1n };
const budgets = { deadlineMs: 50_000, fenceMs: 60_000 };

let requests = 0;

async function submit(snapshot = fakeSnapshot(2), by = node): Promise<string> {
  const requestId = `request-${++requests}`;
  const { result } = await client.submitSnapshot({ node: by, requestId, snapshot, ...budgets });
  if (result.case !== "accepted") throw new Error(`skipped: ${JSON.stringify(result.value)}`);
  return requestId;
}

/** The operator's id of a request's session in flight. */
async function sessionOf(requestId: string): Promise<string> {
  const session = (await sessions()).find((each) => each.requestId === requestId);
  if (session === undefined) throw new Error("the session is not listed");
  return session.sessionId;
}

async function outcomes(requestId: string) {
  const { session } = await client.getSession({ node, requestId, waitMs: 10_000 });
  return session?.outcomes ?? [];
}

test("the log level is read and set; one that does not exist is refused", async () => {
  expect((await admin("getLogLevel", {})).level).toBe(LogLevel.SILENT);
  const { previous } = await admin("setLogLevel", { level: LogLevel.ERROR });
  expect(previous).toBe(LogLevel.SILENT);
  expect((await admin("getLogLevel", {})).level).toBe(LogLevel.ERROR);
  for (const level of [LogLevel.UNSPECIFIED, 99 as LogLevel]) {
    await expect(admin("setLogLevel", { level })).rejects.toMatchObject({
      kind: "invalid_argument",
    });
  }
  expect((await admin("getLogLevel", {})).level).toBe(LogLevel.ERROR);
});

test("a session in flight is listed with each group's state", async () => {
  expect(await sessions()).toEqual([]);
  const requestId = await submit(fakeSnapshot(2, 1));
  await prover.untilProofs(1);
  const [session, ...others] = await sessions();
  expect(others).toEqual([]);
  expect(session).toMatchObject({
    sessionId: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
    requestId,
    nodeId: "node-1",
    slot: 101n,
    priority: Priority.AGGREGATION,
    votesProved: 0,
    groups: [
      { state: GroupState.ENDED, attempt: 1, status: OutcomeStatus.NOTHING_TO_PROVE },
      { state: GroupState.RUNNING, attempt: 1 },
      { state: GroupState.QUEUED, attempt: 0 },
    ],
  });
  const { ageMs = 0, deadlineLeftMs = 0, fenceLeftMs = 0, votes = 0 } = session ?? {};
  expect(votes).toBeGreaterThanOrEqual(2);
  expect(ageMs + deadlineLeftMs).toBeGreaterThanOrEqual(budgets.deadlineMs - 1);
  expect(ageMs + deadlineLeftMs).toBeLessThanOrEqual(budgets.deadlineMs + 1);
  expect(fenceLeftMs - deadlineLeftMs).toBeGreaterThanOrEqual(9999);
});

test("a device is listed with its provers and the attempt that it works at", async () => {
  const [idle] = await devices();
  expect(idle).toMatchObject({ deviceId: "cpu", state: DeviceState.IDLE, drained: false });
  expect(idle?.provers).toMatchObject([{ role: ProverRole.ACTIVE, ready: true }]);
  expect(idle?.running).toBeUndefined();
  const requestId = await submit(fakeSnapshot(1));
  await prover.untilProofs(1);
  const [proving] = await devices();
  expect(proving).toMatchObject({ state: DeviceState.PROVING, lease: idle?.lease });
  expect(proving?.running).toMatchObject({
    attempt: 1,
    sessionId: await sessionOf(requestId),
    groupIndex: 0,
    proof: { rawSignatures: 2, children: 0 },
  });
  expect(proving?.running?.proof?.predictedMs).toBeGreaterThan(100);
});

test("a drained device ends what it works at and starts nothing; undrained it goes on", async () => {
  const requestId = await submit();
  await prover.untilProofs(1);
  const drained = admin("drainDevice", { deviceId: "cpu", waitMs: 10_000 });
  await expect.poll(readiness).toBe("device cpu is drained\n");
  const other = { node: { nodeId: "node-2" }, snapshot: fakeSnapshot(1), ...budgets };
  const { result } = await client.submitSnapshot(other);
  expect(result).toMatchObject({
    case: "skipped",
    value: { reason: SkipReason.NO_PROVER, detail: "device cpu is drained" },
  });

  prover.endProofs();
  const { device } = await drained;
  expect(device).toMatchObject({ state: DeviceState.IDLE, drained: true });
  expect(device?.running).toBeUndefined();
  expect(prover.proofs).toBe(1);
  const [session] = await sessions();
  expect(session?.groups).toMatchObject([
    { state: GroupState.ENDED, status: OutcomeStatus.PROVED },
    { state: GroupState.QUEUED },
  ]);
  expect(await readiness()).toBe("device cpu is drained\n");

  await admin("drainDevice", { deviceId: "cpu", drained: false });
  await prover.untilProofs(2);
  expect(await readiness()).toBe("ok\n");
  prover.endProofs();
  const proved = { status: OutcomeStatus.PROVED };
  expect(await outcomes(requestId)).toMatchObject([proved, proved]);
});

test("the wait of a drain is bounded, and the answer names what still runs", async () => {
  await submit(fakeSnapshot(1));
  await prover.untilProofs(1);
  const { device } = await admin("drainDevice", { deviceId: "cpu", waitMs: 20 });
  expect(device).toMatchObject({ drained: true, running: { attempt: 1 } });
});

test("draining is idempotent and shows in the metrics", async () => {
  const gauge = async () => {
    const text = await service.metrics.registry.metrics();
    return /lean_aggregator_server_device_drained\{device="cpu"\} (\d)/.exec(text)?.[1];
  };
  expect(await gauge()).toBe("0");
  const first = await admin("drainDevice", { deviceId: "cpu" });
  expect(await admin("drainDevice", { deviceId: "cpu", drained: true })).toEqual(first);
  expect(await gauge()).toBe("1");
  await admin("drainDevice", { deviceId: "cpu", drained: false });
  expect(await gauge()).toBe("0");
});

test("with one of two devices drained the service is ready and the other has the work", async () => {
  await stop();
  await start({
    devices: [
      { id: "a", cores: "0" },
      { id: "b", cores: "1" },
    ],
    drainMs: 1,
  });
  await expect
    .poll(async () => (await devices()).map(({ state }) => state))
    .toEqual([DeviceState.IDLE, DeviceState.IDLE]);
  await admin("drainDevice", { deviceId: "a" });
  expect(await readiness()).toBe("ok\n");
  await submit();
  await prover.untilProofs(1);
  expect(await devices()).toMatchObject([
    { deviceId: "a", state: DeviceState.IDLE, drained: true },
    { deviceId: "b", state: DeviceState.PROVING, drained: false },
  ]);
});

test("a restart waits for the running proof, then a fresh prover has the device", async () => {
  const requestId = await submit(fakeSnapshot(1));
  await prover.untilProofs(1);
  const { device } = await admin("restartProver", { deviceId: "cpu" });
  expect(device).toMatchObject({ state: DeviceState.PROVING, restartDue: true });
  expect(prover.provers).toBe(1);
  prover.endProofs();
  expect(await outcomes(requestId)).toMatchObject([{ status: OutcomeStatus.PROVED }]);
  await expect.poll(() => prover.provers).toBe(2);
  const next = await submit(fakeSnapshot(1));
  await prover.untilProofs(2);
  prover.endProofs();
  expect(await outcomes(next)).toMatchObject([{ status: OutcomeStatus.PROVED }]);
});

test("a restart of the standby leaves the running proof alone", async () => {
  await stop();
  await start({ standby: "1", drainMs: 1 });
  const roles = async () => (await devices())[0]?.provers.map(({ role }) => role);
  await expect.poll(roles, { timeout: 5000 }).toEqual([ProverRole.ACTIVE, ProverRole.STANDBY]);
  const requestId = await submit(fakeSnapshot(1));
  await prover.untilProofs(1);
  await admin("restartProver", { deviceId: "cpu", role: ProverRole.STANDBY });
  await expect.poll(roles).toEqual([ProverRole.ACTIVE]);
  prover.endProofs();
  expect(await outcomes(requestId)).toMatchObject([{ status: OutcomeStatus.PROVED, attempt: 1 }]);
  await expect.poll(() => prover.provers, { timeout: 5000 }).toBe(3);
});

test("ending a session kills its running attempt and drops what is queued", async () => {
  const requestId = await submit();
  await prover.untilProofs(1);
  const sessionId = await sessionOf(requestId);
  const ended = await admin("endSession", { sessionId });
  expect(ended).toMatchObject({ queuedGroupsEnded: 1, runningGroupsEnded: 1 });
  expect(await outcomes(requestId)).toMatchObject([
    { status: OutcomeStatus.STOPPED, reason: OutcomeReason.CANCELLED },
    { status: OutcomeStatus.NOT_STARTED, reason: OutcomeReason.CANCELLED },
  ]);
  await expect.poll(() => prover.provers).toBe(2);
  const again = await admin("endSession", { sessionId });
  expect(again).toMatchObject({ queuedGroupsEnded: 0, runningGroupsEnded: 0 });
  expect(await sessions()).toEqual([]);
});

test("closing the service ends a drain's wait", async () => {
  await submit(fakeSnapshot(1));
  await prover.untilProofs(1);
  const waiting = admin("drainDevice", { deviceId: "cpu", waitMs: 60_000 });
  await expect.poll(readiness).toBe("device cpu is drained\n");
  await service.close();
  expect((await waiting).device).toMatchObject({ drained: true });
});

const refusals: [string, AggregatorErrorKind, RegExp, () => Promise<unknown>][] = [
  [
    "a device that is not there",
    "not_found",
    /device_id: no device "gpu": this service has cpu/,
    () => admin("drainDevice", { deviceId: "gpu" }),
  ],
  [
    "a restart on a device that is not there",
    "not_found",
    /device_id: no device "gpu"/,
    () => admin("restartProver", { deviceId: "gpu" }),
  ],
  [
    "no device",
    "invalid_argument",
    /device_id: is empty/,
    () => admin("restartProver", { deviceId: "" }),
  ],
  [
    "a wait of an hour",
    "invalid_argument",
    /wait_ms: is 3600000, at most 60000/,
    () => admin("drainDevice", { deviceId: "cpu", waitMs: 3_600_000 }),
  ],
  [
    "a wait without a drain",
    "invalid_argument",
    /wait_ms: is only for/,
    () => admin("drainDevice", { deviceId: "cpu", drained: false, waitMs: 1 }),
  ],
  [
    "a role that is unknown",
    "invalid_argument",
    /role: 9 is unknown/,
    () => admin("restartProver", { deviceId: "cpu", role: 9 as ProverRole }),
  ],
  [
    "a standby that is not there",
    "not_found",
    /role: device cpu has no standby/,
    () => admin("restartProver", { deviceId: "cpu", role: ProverRole.STANDBY }),
  ],
  [
    "no session",
    "invalid_argument",
    /session_id: is empty/,
    () => admin("endSession", { sessionId: "" }),
  ],
  [
    "a session that never was",
    "not_found",
    /session_id: no session "nope"/,
    () => admin("endSession", { sessionId: "nope" }),
  ],
];
test.each(refusals)("%s is refused as %s, naming the field", async (_name, kind, message, call) => {
  await expect(call()).rejects.toMatchObject({ kind, message: expect.stringMatching(message) });
  expect(await devices()).toMatchObject([{ drained: false }]);
});
