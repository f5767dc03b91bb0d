/** `SubmitSnapshot`: converts a request for `Admission`, and its decision to an answer. */
import { create } from "@bufbuild/protobuf";
import type {
  ProofSystem,
  SubmitSnapshotRequest,
  SubmitSnapshotResponse,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  BusyPolicy,
  DeadlineSource,
  PartialPolicy,
  Priority,
  ProofKind,
  SubmitSnapshotResponseSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { contentOf } from "../admission/content-digest.js";
import { decodeSnapshot } from "../admission/decode-snapshot.js";
import { invalid, quoted } from "../errors.js";
import { ID_EXPECTED, idPattern } from "../id.js";
import { skipReasonOnWire } from "../admission/skip-reason.js";
import { limits } from "../limits.js";
import { uint32Of } from "../uint32.js";
import { priorityNames } from "../work/priority.js";
import { offeredRates } from "../work/prover-description.js";
import type { ProverDescription } from "../work/prover-description.js";
import type { Envelope, SubmitAnswer } from "../work/submission.js";
import { nodeIdOf } from "./call/call-context.js";
import type { CallContext, HandlersModules, HandlersOptions } from "./call/call-context.js";
import { snapshotLimits } from "./call/request-limits.js";
import { stepsOf } from "./messages/steps.js";

type KnownPriority = Exclude<Priority, Priority.UNSPECIFIED>;

export function submitSnapshot(
  request: SubmitSnapshotRequest,
  call: CallContext,
  options: HandlersOptions,
  { access, admission, recorder }: HandlersModules,
): SubmitSnapshotResponse {
  const nodeId = nodeIdOf(request.node);
  const priority = priorityOf(request);
  const ask = { call: "SubmitSnapshot", nodeId, priority: priorityNames[priority] };
  const principal = access.check(call.credential, ask);
  const { snapshot } = request;
  checkRequestId(request.requestId);
  checkPolicies(request);
  const { digest: contentDigest, bytes } = contentOf(request);
  const identity = { nodeId, requestId: request.requestId, contentDigest };
  const budgets = budgetsOf(request, call, options);
  const envelope: Envelope = {
    ...identity,
    nodeEpoch: request.node?.nodeEpoch ?? 0n,
    slot: snapshot?.slot ?? 0n,
    principal,
    priority,
    shouldReplace: request.busyPolicy === BusyPolicy.REPLACE,
    mayShed: request.partialPolicy !== PartialPolicy.FORBID,
    minInputs: Math.max(1, request.minInputs),
    isMerge: snapshot?.groups[0]?.kind === ProofKind.MERGE,
    receivedAtMs: call.receivedAtMs,
    deadlineAtMs: call.receivedAtMs + budgets.deadlineMs,
    fenceAtMs: call.receivedAtMs + budgets.fenceMs,
    steps: stepsOf(request.steps, call.receivedAtMs),
    bytes,
    accepted: budgets,
    ...(call.traceparent !== undefined && { traceparent: call.traceparent }),
    ...(request.proofSystem && { asked: request.proofSystem }),
    isLookup: request.deadlineMs === 0 || request.fenceMs === 0,
  };
  const decode = (prover: ProverDescription) => decodeGroups(request, priority, prover);
  const answer = admission.submit(envelope, decode);
  recorder?.submitted({ request, received: call.received, envelope, answer });
  return submitResponse(answer, options);
}

/**
 * Deadline and fence, in milliseconds from receipt. The deadline is the request's, else the call's,
 * else the service's, and never after the fence. 0 means that no time is left, as for a client that
 * asks again for a lost answer. Throws a `Refusal` when one is out of range.
 */
function budgetsOf(
  request: SubmitSnapshotRequest,
  { callDeadlineMs }: CallContext,
  defaults: HandlersOptions,
) {
  const fenceMs = budget(request.fenceMs ?? defaults.fenceMs, "fence_ms", limits.fenceMsMax);
  const [asked, deadlineSource] =
    request.deadlineMs !== undefined
      ? [budget(request.deadlineMs, "deadline_ms", limits.deadlineMsMax), DeadlineSource.REQUEST]
      : callDeadlineMs !== undefined
        ? [Math.min(callDeadlineMs, limits.deadlineMsMax), DeadlineSource.CALL]
        : [defaults.deadlineMs, DeadlineSource.SERVER];
  return {
    deadlineMs: Math.max(0, Math.floor(Math.min(asked, fenceMs))),
    fenceMs,
    deadlineSource,
  };
}

/** Throws a `Refusal` for an id that is neither empty nor well-formed. */
function checkRequestId(requestId: string): void {
  if (requestId === "" || idPattern.test(requestId)) return;
  throw invalid("request_id", `is ${quoted(requestId)}, expected no id or ${ID_EXPECTED}`);
}

function budget(value: number, field: string, max: number): number {
  if (value > max) throw invalid(field, `is ${value}, expected 0 to ${max}`);
  return value;
}

function priorityOf({ priority }: SubmitSnapshotRequest): KnownPriority {
  if (priority === Priority.UNSPECIFIED) return Priority.AGGREGATION;
  if (Priority[priority] === undefined) throw invalid("priority", `${String(priority)} is unknown`);
  return priority;
}

/** Throws a `Refusal` for a policy that the contract does not name: the default is not what was asked for. */
function checkPolicies({ busyPolicy, partialPolicy }: SubmitSnapshotRequest): void {
  if (BusyPolicy[busyPolicy] === undefined) {
    throw invalid("busy_policy", `is ${String(busyPolicy)}, expected SKIP or REPLACE`);
  }
  if (PartialPolicy[partialPolicy] === undefined) {
    throw invalid("partial_policy", `is ${String(partialPolicy)}, expected ALLOW or FORBID`);
  }
}

function decodeGroups(
  { proofSystem, snapshot }: SubmitSnapshotRequest,
  priority: KnownPriority,
  prover: ProverDescription,
) {
  checkRate(proofSystem, prover);
  const ask = { logInvRate: proofSystem?.logInvRate ?? 0, priority };
  return decodeSnapshot(snapshot, ask, snapshotLimits(prover));
}

/** Throws a `Refusal` when the prover does not offer the rate. */
export function checkRate(asked: ProofSystem | undefined, has: ProverDescription): void {
  if (asked === undefined) return;
  const rates = offeredRates(has);
  if (rates.includes(asked.logInvRate)) return;
  const detail = `is ${asked.logInvRate}, this server offers ${rates.join(", ")}`;
  throw invalid("proof_system.log_inv_rate", detail);
}

function submitResponse(answer: SubmitAnswer, { serviceId }: HandlersOptions) {
  if (answer.kind === "accepted") {
    const $typeName = "lean.aggregator.v1.Accepted";
    const predictedFinishMs = uint32Of(answer.accepted.predictedFinishMs);
    const value = { ...answer.accepted, predictedFinishMs, serviceId, $typeName } as const;
    return create(SubmitSnapshotResponseSchema, { result: { case: "accepted", value } });
  }
  const { reason, detail, inFlightRequestId = "", predictedFinishMs } = answer;
  const value = {
    $typeName: "lean.aggregator.v1.Skipped",
    reason: skipReasonOnWire[reason],
    detail,
    inFlightRequestId,
    ...(predictedFinishMs !== undefined && { predictedFinishMs: uint32Of(predictedFinishMs) }),
  } as const;
  return create(SubmitSnapshotResponseSchema, { result: { case: "skipped", value } });
}
