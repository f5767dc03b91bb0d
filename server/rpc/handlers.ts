/**
 * The calls of AggregatorService, neutral of transport: both RPC stacks hand requests in here.
 * Refusals are thrown as `Refusal`; each stack maps them through `status.ts`.
 */
import { create } from "@bufbuild/protobuf";
import type {
  CancelSessionRequest,
  GetSessionRequest,
  Node,
  ProofSystem,
  Session,
  StreamResultsRequest,
  StreamResultsResponse,
  SubmitSnapshotRequest,
  VerifyAggregateRequest,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  CancelSessionResponseSchema,
  DeadlineSource,
  GetSessionResponseSchema,
  BusyPolicy,
  PartialPolicy,
  Priority,
  SessionState,
  SkipReason,
  SubmitSnapshotResponseSchema,
  VerifyAggregateResponseSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Access } from "../access/access.js";
import type { Credential } from "../access/policy.js";
import { priorityNames } from "../work/priority.js";
import type { Clock } from "../clock.js";
import { invalid, Refusal } from "../errors.js";
import { limits } from "../limits.js";
import { ProverError } from "../prover/prover.js";
import type { ProverDescription } from "../work/prover-description.js";
import type { ReadyVerifier } from "../lane/local-lanes.js";
import type { Dispatcher } from "../schedule/dispatcher.js";
import { concat } from "../bytes.js";
import type { Admission } from "../admission/admission.js";
import type { Envelope, SubmitAnswer } from "../work/submission.js";
import { attestationDataRoot } from "../admission/attestation-data.js";
import { checkGivenMessage, decodeSnapshot } from "../admission/decode-snapshot.js";
import { contentOf } from "../admission/content-digest.js";
import type { Peer } from "../net/peer.js";
import { snapshotLimits } from "./request-limits.js";
import { serverInfo } from "./server-info.js";
import { resultsOf } from "./stream-results.js";
import type { Reader } from "./stream-results.js";
import { whicheverAborts } from "./whichever-aborts.js";

/** What a transport knows of a call. */
export interface CallContext {
  /** Monotonic instant at which the headers arrived. */
  receivedAtMs: number;
  /** Time that the call's own deadline left at receipt. */
  callDeadlineMs: number | undefined;
  /** The connection's other end. */
  peer: Peer;
  credential: Credential;
  /** Aborts when the caller is gone. */
  signal: AbortSignal;
  /**
   * Reserves memory for an answer of about so many bytes, until its caller has taken it. To be
   * asked once, before the answer is given. Throws a `Refusal` when there is none.
   */
  holdAnswer(bytes: number): void;
  /** Aborts when the server drains: what is there is still delivered, nothing more is waited for. */
  draining: AbortSignal;
}

export interface HandlersModules {
  aggregator: Admission;
  dispatcher: Dispatcher;
  /** Verifies proofs for `VerifyAggregate`; undefined while no prover is set up. */
  verifier(): ReadyVerifier | undefined;
  clock: Clock;
  access: Access;
}

export interface HandlersOptions {
  instance: string;
  version: string;
  deadlineMs: number;
  fenceMs: number;
}

/** An outcome without its proof: attestation data, a bit for each of 4096 validators, and room. */
const OUTCOME_BYTES = 1024;

const skipOnWire = {
  in_flight: SkipReason.IN_FLIGHT,
  predicted_miss: SkipReason.PREDICTED_MISS,
  draining: SkipReason.DRAINING,
  overloaded: SkipReason.OVERLOADED,
  no_prover: SkipReason.NO_PROVER,
} as const;

type KnownPriority = Exclude<Priority, Priority.UNSPECIFIED>;

/** What the stacks serve. */
export type Calls = Pick<Handlers, keyof Handlers>;

export class Handlers {
  private verifying = 0;

  constructor(
    private readonly options: HandlersOptions,
    private readonly modules: HandlersModules,
  ) {}

  submitSnapshot(request: SubmitSnapshotRequest, context: CallContext) {
    const nodeId = nodeIdOf(request.node);
    const priority = priorityOf(request);
    const ask = { call: "SubmitSnapshot", nodeId, priority: priorityNames[priority] };
    const principal = this.modules.access.check(context.credential, ask);
    const { snapshot } = request;
    if (request.requestId.length > limits.idLengthMax) {
      throw invalid("request_id", `is longer than ${limits.idLengthMax} characters`);
    }
    const { digest: contentDigest, bytes } = contentOf(request);
    const identity = { nodeId, requestId: request.requestId, contentDigest };
    const budgets = this.budgets(request, context);
    const envelope: Envelope = {
      ...identity,
      nodeEpoch: request.node?.nodeEpoch ?? 0n,
      slot: snapshot?.slot ?? 0n,
      principal,
      priority,
      shouldReplace: request.busyPolicy === BusyPolicy.REPLACE,
      mayBeCut: request.partialPolicy !== PartialPolicy.FORBID,
      receivedAtMs: context.receivedAtMs,
      deadlineAtMs: context.receivedAtMs + budgets.deadlineMs,
      fenceAtMs: context.receivedAtMs + budgets.fenceMs,
      bytes,
      accepted: budgets,
    };
    const decode = (prover: ProverDescription) => decodeGroups(request, prover);
    return submitResponse(this.modules.aggregator.submit(envelope, decode));
  }

  async *streamResults(
    request: StreamResultsRequest,
    context: CallContext,
  ): AsyncGenerator<StreamResultsResponse> {
    const nodeId = nodeIdOf(request.node);
    const ask = { call: "StreamResults", nodeId };
    const { access, aggregator } = this.modules;
    const grant = access.openStream(context.credential, ask);
    try {
      const record = aggregator.node(nodeId);
      const reader = { ...context, revoked: grant.signal };
      const isInFlight = (sessionId: string) =>
        aggregator.session(nodeId, sessionId).state === SessionState.IN_FLIGHT;
      yield* resultsOf(record, request, reader, { ...this.options, isInFlight });
      grant.signal.throwIfAborted();
    } finally {
      grant.close();
    }
  }

  async getSession(request: GetSessionRequest, context: CallContext) {
    const nodeId = nodeIdOf(request.node);
    const ask = { call: "GetSession", nodeId };
    const grant = this.modules.access.openWait(context.credential, ask);
    try {
      if (request.waitMs > limits.waitMsMax) {
        throw invalid("wait_ms", `is ${request.waitMs}, at most ${limits.waitMsMax}`);
      }
      const reader = { ...context, revoked: grant.signal };
      const session = await this.sessionAfterWait(nodeId, request, reader);
      context.holdAnswer(bytesToTell(session));
      return create(GetSessionResponseSchema, { session });
    } finally {
      grant.close();
    }
  }

  cancelSession(request: CancelSessionRequest, context: CallContext) {
    const nodeId = this.nodeOf(request, "CancelSession", context);
    const { aggregator } = this.modules;
    const session = aggregator.cancel(nodeId, request.sessionId, request.groupIndices);
    context.holdAnswer(bytesToTell(session));
    return create(CancelSessionResponseSchema, { session });
  }

  async verifyAggregate(request: VerifyAggregateRequest, context: CallContext) {
    this.nodeOf(request, "VerifyAggregate", context);
    const { clock } = this.modules;
    const root = attestationDataRoot(request.data, "data");
    checkGivenMessage(request.message, root, "message");
    const ready = this.modules.verifier();
    if (ready === undefined) throw new Refusal("unavailable", "", "no prover is up to verify with");
    const { description, verifier } = ready;
    checkProofSystem(request.proofSystem, description);
    if (request.publicKeys.length === 0) throw invalid("public_keys", "is empty");
    request.publicKeys.forEach((key, at) => {
      if (key.length === description.publicKeyBytes) return;
      throw invalid(
        `public_keys[${at}]`,
        `has ${key.length} bytes, expected ${description.publicKeyBytes}`,
      );
    });
    if (request.proof.length > limits.proofBytesMax || request.proof.length === 0) {
      throw invalid(
        "proof",
        `has ${request.proof.length} bytes, expected 1 to ${limits.proofBytesMax}`,
      );
    }
    if (this.verifying >= limits.verifyCallsMax) {
      const detail = `overloaded: ${limits.verifyCallsMax} proofs are being verified already`;
      throw new Refusal("resource_exhausted", "", detail);
    }
    const startedMs = clock.nowMs();
    this.verifying++;
    const message = { root, slot: Number(request.data?.slot ?? 0n) };
    const claim = { proof: request.proof.slice(), keys: concat(request.publicKeys) };
    const valid = await verifier
      .verifyAggregate(message, claim)
      .catch((error: unknown) => {
        if (!(error instanceof ProverError)) throw error;
        throw new Refusal("unavailable", "", `the prover could not verify: ${error.message}`);
      })
      .finally(() => this.verifying--);
    const detail = valid ? "" : "the proof does not verify, or attests other claims";
    const verifyMs = Math.round(clock.nowMs() - startedMs);
    return create(VerifyAggregateResponseSchema, { valid, detail, verifyMs });
  }

  getServerInfo() {
    return serverInfo(this.options, this.modules);
  }

  /** Once it has ended, or the wait has. Throws when the caller may not wait on. */
  private async sessionAfterWait(
    nodeId: string,
    { sessionId, waitMs }: GetSessionRequest,
    { receivedAtMs, signal, draining, revoked }: Reader & Pick<CallContext, "receivedAtMs">,
  ): Promise<Session> {
    const { aggregator, clock } = this.modules;
    const timeout = new AbortController();
    const cancel = clock.at(receivedAtMs + waitMs, () => timeout.abort());
    const waiting = whicheverAborts(signal, draining, revoked, timeout.signal);
    try {
      for (;;) {
        const session = aggregator.session(nodeId, sessionId);
        const mayWait = waitMs > 0 && !waiting.signal.aborted;
        if (session.state !== SessionState.IN_FLIGHT || !mayWait) return session;
        await aggregator.node(nodeId).log.changed(waiting.signal);
        revoked.throwIfAborted();
      }
    } finally {
      cancel();
      waiting.dispose();
    }
  }

  /** The node for which is called, by one who may. */
  private nodeOf(request: { node?: Node }, call: string, { credential }: CallContext): string {
    const nodeId = nodeIdOf(request.node);
    this.modules.access.check(credential, { call, nodeId });
    return nodeId;
  }

  /** Deadline: the request's, else the call's, else ours; never past the fence. */
  private budgets(request: SubmitSnapshotRequest, { callDeadlineMs }: CallContext) {
    const fenceMs = budget(request.fenceMs ?? this.options.fenceMs, "fence_ms", limits.fenceMsMax);
    const [asked, deadlineSource] =
      request.deadlineMs !== undefined
        ? [budget(request.deadlineMs, "deadline_ms", limits.deadlineMsMax), DeadlineSource.REQUEST]
        : callDeadlineMs !== undefined
          ? [Math.min(callDeadlineMs, limits.deadlineMsMax), DeadlineSource.CALL]
          : [this.options.deadlineMs, DeadlineSource.SERVER];
    return {
      deadlineMs: Math.max(0, Math.floor(Math.min(asked, fenceMs))),
      fenceMs,
      deadlineSource,
    };
  }
}

/** Its proofs and what they leave out; the rest of an outcome is small. */
function bytesToTell({ outcomes }: Session): number {
  return outcomes.reduce(
    (sum, { proof, leftOut }) =>
      sum + OUTCOME_BYTES + proof.length + leftOut.length * limits.leftOutBytes,
    OUTCOME_BYTES,
  );
}

function budget(value: number, field: string, max: number): number {
  if (value < 1 || value > max) throw invalid(field, `is ${value}, expected 1 to ${max}`);
  return value;
}

function nodeIdOf(node: Node | undefined): string {
  if (node === undefined) throw invalid("node", "is missing");
  const { idLengthMax } = limits;
  if (node.nodeId.length > idLengthMax || !/^[A-Za-z0-9._-]+$/.test(node.nodeId)) {
    throw invalid("node.node_id", `must be 1 to ${idLengthMax} characters of A-Z a-z 0-9 . _ -`);
  }
  return node.nodeId;
}

function priorityOf({ priority }: SubmitSnapshotRequest): KnownPriority {
  if (priority === Priority.UNSPECIFIED) return Priority.AGGREGATION;
  if (Priority[priority] === undefined) throw invalid("priority", `${String(priority)} is unknown`);
  return priority;
}

function decodeGroups({ proofSystem, snapshot }: SubmitSnapshotRequest, prover: ProverDescription) {
  checkProofSystem(proofSystem, prover);
  return decodeSnapshot(snapshot, proofSystem?.logInvRate ?? 0, snapshotLimits(prover));
}

function checkProofSystem(asked: ProofSystem | undefined, has: ProverDescription): void {
  if (asked === undefined) return;
  for (const field of ["scheme", "revision"] as const) {
    if (asked[field] !== "" && asked[field] !== has[field]) {
      throw invalid(
        `proof_system.${field}`,
        `is ${asked[field]}, this server proves ${has[field]}`,
      );
    }
  }
  if (asked.logInvRate > 8) {
    throw invalid("proof_system.log_inv_rate", `is ${asked.logInvRate}, expected 0 to 8`);
  }
}

function submitResponse(answer: SubmitAnswer) {
  if (answer.kind === "accepted") {
    const value = { ...answer.accepted, $typeName: "lean.aggregator.v1.Accepted" } as const;
    return create(SubmitSnapshotResponseSchema, { result: { case: "accepted", value } });
  }
  const { reason, detail, sessionId = "", predictedFinishMs } = answer;
  const value = {
    $typeName: "lean.aggregator.v1.Skipped",
    reason: skipOnWire[reason],
    detail,
    sessionId,
    ...(predictedFinishMs === undefined ? {} : { predictedFinishMs }),
  } as const;
  return create(SubmitSnapshotResponseSchema, { result: { case: "skipped", value } });
}
