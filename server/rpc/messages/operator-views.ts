/** Sessions and devices as messages for the operator. Instants become milliseconds left or past. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  DeviceStatusSchema,
  InFlightGroupSchema,
  InFlightSessionSchema,
  ListHostsResponseSchema,
  RunningAttemptSchema,
} from "../../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import {
  GroupState,
  LaneHostState,
  ProverRole,
} from "../../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import type { Outcome, Votes } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { assertNever } from "../../errors.js";
import type { Costs } from "../../work/costs/costs.js";
import { modelOf } from "../../work/costs/costs.js";
import { predictMs } from "../../work/costs/cost-model.js";
import type { FleetView } from "../../lane/lane-hosts.js";
import type { LaneReport, RunningProof } from "../../lane/lane-messages.js";
import { laneDetail } from "../../lane/lane-messages.js";
import type { GroupState as SessionGroup } from "../../session/session-state.js";
import type { Session } from "../../session/session.js";
import { deviceStateOnWire } from "../../lane/lane-activity.js";
import { uint32Of } from "../../uint32.js";

const roleOnWire = { active: ProverRole.ACTIVE, standby: ProverRole.STANDBY } as const;

/** @param progressOf how far an attempt at several jobs is; undefined for one job */
export function sessionView(
  { id, request, submission, state, attempts }: Session,
  nowMs: number,
  progressOf: (attempt: number) => { done: number; jobs: number } | undefined,
): MessageInitShape<typeof InFlightSessionSchema> {
  const { nodeId, slot, priority, receivedAtMs, deadlineAtMs, fenceAtMs } = submission;
  return {
    sessionId: id,
    requestId: request.requestId,
    nodeId,
    slot,
    priority,
    ageMs: uint32Of(nowMs - receivedAtMs),
    deadlineLeftMs: uint32Of(deadlineAtMs - nowMs),
    fenceLeftMs: uint32Of(fenceAtMs - nowMs),
    votes: submission.groups.reduce((sum, { votes }) => sum + votes, 0),
    votesProved: [...request.outcomes.values()].reduce(
      (sum, { votes }) => sum + provedOf(votes),
      0,
    ),
    groups: state.groups.map((group, index) => ({
      ...groupView(group, request.outcomes.get(index)),
      ...jobsView(group.kind === "running" ? progressOf(group.attempt) : undefined),
      attempt: attempts.get(index) ?? 0,
    })),
  };
}

const provedOf = (votes: Votes | undefined) =>
  votes?.proved.reduce((sum, inStep) => sum + inStep, 0) ?? 0;

function jobsView(progress: { done: number; jobs: number } | undefined) {
  return progress === undefined ? {} : { jobsDone: progress.done, jobs: progress.jobs };
}

function groupView(
  group: SessionGroup,
  outcome: Outcome | undefined,
): MessageInitShape<typeof InFlightGroupSchema> {
  switch (group.kind) {
    case "queued":
      return { state: GroupState.QUEUED };
    case "running":
      return { state: GroupState.RUNNING };
    case "ended":
      return { state: GroupState.ENDED, status: outcome?.status ?? 0 };
    default:
      return assertNever(group);
  }
}

/**
 * @param sessions those in flight: the running attempt may belong to one of them
 * @param wholeOf the attempt at the whole group, for the number of an attempt or of one of its jobs
 */
export function deviceView(
  deviceId: string,
  report: LaneReport,
  { sessions, wholeOf }: { sessions: readonly Session[]; wholeOf: (number: number) => number },
  nowMs: number,
): MessageInitShape<typeof DeviceStatusSchema> {
  const { phase, isDrained, isRestartDue, lease, provers, costs, standbyCause } = report;
  const { description } = report;
  const failed = phase.kind === "failed" ? { retryInMs: uint32Of(phase.retryAtMs - nowMs) } : {};
  const running =
    phase.kind === "proving"
      ? { running: attemptView(phase, costs, { sessions, wholeOf }, nowMs) }
      : {};
  return {
    deviceId,
    state: deviceStateOnWire[phase.kind],
    cause: phase.kind === "stopping" ? phase.cause : laneDetail(report),
    standbyCause,
    drained: isDrained,
    restartDue: isRestartDue,
    lease: uint32Of(lease),
    provers: provers.map(({ role, pid, isReady, residentBytes }) => ({
      role: roleOnWire[role],
      ...(pid === undefined ? {} : { pid }),
      ready: isReady,
      residentBytes: BigInt(residentBytes),
    })),
    ...(description !== null && {
      proofSystem: { scheme: description.scheme, revision: description.revision },
    }),
    ...failed,
    ...running,
  };
}

function attemptView(
  { attempt, proof }: { attempt: number | null; proof: RunningProof | null },
  costs: Costs,
  { sessions, wholeOf }: { sessions: readonly Session[]; wholeOf: (number: number) => number },
  nowMs: number,
): MessageInitShape<typeof RunningAttemptSchema> {
  const ofGroup = attempt === null ? null : wholeOf(attempt);
  const isIts = (group: SessionGroup) => group.kind === "running" && group.attempt === ofGroup;
  const session = sessions.find(({ state }) => state.groups.some(isIts));
  return {
    attempt: uint32Of(attempt ?? 0),
    sessionId: session?.id ?? "",
    groupIndex: session?.state.groups.findIndex(isIts) ?? 0,
    ...(proof === null
      ? {}
      : {
          proof: {
            rawSignatures: proof.shape.raws,
            children: proof.shape.children,
            runningMs: uint32Of(nowMs - proof.startedAtMs),
            predictedMs: uint32Of(predictMs(modelOf(costs, proof.shape), proof.shape)),
          },
        }),
  };
}

const hostStateOnWire = {
  used: LaneHostState.USED,
  joining: LaneHostState.JOINING,
  left_out: LaneHostState.LEFT_OUT,
  distrusted: LaneHostState.DISTRUSTED,
  gone: LaneHostState.GONE,
} as const;

export function fleetView(
  { engine, hosts, adopted, taken, gone, attemptsGone }: FleetView,
  nowMs: number,
): MessageInitShape<typeof ListHostsResponseSchema> {
  const { isUp, detail, cell } = engine;
  return {
    engine: { up: isUp, detail, cell },
    hosts: hosts.map(({ id, state, run, cause, heardAtMs, offsetMs, deviceIds, attempts }) => ({
      ...{ hostId: id, state: hostStateOnWire[state], run, cause, attempts },
      heardAgoMs: uint32Of(nowMs - heardAtMs),
      ...(offsetMs === undefined ? {} : { clockOffsetMs: offsetMs }),
      deviceIds: [...deviceIds],
    })),
    totals: {
      adopted: BigInt(adopted),
      taken: BigInt(taken),
      gone: gone.map(({ cause, count }) => ({ cause, count: BigInt(count) })),
      attemptsGone: BigInt(attemptsGone),
    },
  };
}
