/**
 * The calls of AggregatorService, whatever their transport: `routes.ts` passes in decoded requests.
 * A method refuses a call by throwing a `Refusal`, which `status.ts` maps to a status code.
 */
import { create } from "@bufbuild/protobuf";
import { createLinkedAbortController } from "@connectrpc/connect/protocol";
import type {
  CancelSessionRequest,
  GetSessionRequest,
  Node,
  Session,
  StreamResultsRequest,
  StreamResultsResponse,
  SubmitSnapshotRequest,
  VerifyAggregateRequest,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  AggregatorService,
  CancelSessionResponseSchema,
  GetSessionResponseSchema,
  VerifyAggregateResponseSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { askedSchedule } from "../admission/asked-schedule.js";
import { nextChange } from "../changes.js";
import { invalid, Refusal } from "../errors.js";
import { limits } from "../limits.js";
import type { RequestRecord } from "../session/node-record.js";
import { keptBytes } from "../work/outcome-bytes.js";
import { checkId, nodeIdOf } from "./call/call-context.js";
import type { CallContext, HandlersModules, HandlersOptions } from "./call/call-context.js";
import { Deliveries } from "./deliveries.js";
import type { Routes } from "./routes.js";
import { serverInfo } from "./messages/server-info.js";
import { sessionMessage } from "./messages/session-message.js";
import { resultsOf } from "./stream-results.js";
import type { Reader } from "./stream-results.js";
import { submitSnapshot } from "./submit-snapshot.js";
import { claimedProof } from "./verify-aggregate.js";
import { VerifyCalls } from "./verify-calls.js";

/** The methods of `Handlers`, without their private fields. */
export type Calls = Pick<Handlers, keyof Handlers>;

/** Adds the calls of AggregatorService to a server's routes. */
export function addAggregatorRoutes(routes: Routes, calls: Calls): void {
  const { method } = AggregatorService;
  routes
    .unary(method.submitSnapshot, (request, call) => calls.submitSnapshot(request, call))
    .unary(method.getSession, (request, call) => calls.getSession(request, call))
    .unary(method.cancelSession, (request, call) => calls.cancelSession(request, call))
    .unary(method.verifyAggregate, (request, call) => calls.verifyAggregate(request, call))
    .unary(method.getServerInfo, () => calls.getServerInfo())
    .serverStream(method.streamResults, (request, call) => calls.streamResults(request, call));
}

export class Handlers {
  private readonly verifying: VerifyCalls;
  private readonly deliveries: Deliveries;

  constructor(
    private readonly options: HandlersOptions,
    private readonly modules: HandlersModules,
  ) {
    this.deliveries = new Deliveries(modules);
    this.verifying = new VerifyCalls(modules.clock);
  }

  submitSnapshot(request: SubmitSnapshotRequest, call: CallContext) {
    return submitSnapshot(request, call, this.options, this.modules);
  }

  async *streamResults(
    request: StreamResultsRequest,
    context: CallContext,
  ): AsyncGenerator<StreamResultsResponse> {
    const nodeId = nodeIdOf(request.node);
    const ask = { call: "StreamResults", nodeId };
    const { access, admission } = this.modules;
    const grant = access.openStream(context.credential, ask);
    try {
      const nodeEpoch = request.node?.nodeEpoch ?? 0n;
      if (nodeEpoch !== 0n) this.checkMaySubmit(nodeId, context);
      const record = admission.enter(nodeId, nodeEpoch);
      const reader = { ...context, revoked: grant.signal };
      const { instance: run, serviceId } = this.options;
      const names = { serviceId, run };
      const modules = { ...this.modules, ...names, deliveries: this.deliveries };
      yield* resultsOf(record, request, reader, modules);
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
      checkId("request_id", request.requestId);
      const found = await this.sessionAfterWait(nodeId, request, reader);
      return create(GetSessionResponseSchema, { session: this.answerOf(found, context) });
    } finally {
      grant.close();
    }
  }

  cancelSession(request: CancelSessionRequest, context: CallContext) {
    const nodeId = this.nodeOf(request, "CancelSession", context);
    const { admission } = this.modules;
    const { requestId, groupIndices } = request;
    checkId("request_id", requestId);
    const cancelled = admission.cancel(nodeId, requestId, groupIndices);
    return create(CancelSessionResponseSchema, { session: this.answerOf(cancelled, context) });
  }

  /** The session for a caller that has not left. Throws a `Refusal` when no memory is free for it. */
  private answerOf(request: RequestRecord, context: CallContext): Session {
    const session = sessionMessage(request);
    context.holdAnswer(answerBytes(session));
    if (!context.signal.aborted) this.deliveries.note(request, request.outcomes.keys());
    return session;
  }

  async verifyAggregate(request: VerifyAggregateRequest, context: CallContext) {
    this.nodeOf(request, "VerifyAggregate", context);
    const { schedules } = this.modules;
    const { proofSystem: asked, data } = request;
    const slot = data?.slot ?? request.claims[0]?.signed.value?.slot ?? 0n;
    const schedule = askedSchedule(schedules, { asked, slot });
    const ready = schedule && this.modules.verifier(schedule.name);
    if (ready === undefined) throw new Refusal("unavailable", "", "no prover is up to verify with");
    const proof = claimedProof(request, ready.description);
    const { valid, verifyMs } = await this.verifying.verify(ready, proof, context);
    const detail = valid ? "" : "the proof does not verify, or attests other claims";
    return create(VerifyAggregateResponseSchema, { valid, detail, verifyMs });
  }

  getServerInfo() {
    return serverInfo(this.options, this.modules);
  }

  /** The request, once it ends or the wait is over. Rejects when the caller may no longer wait. */
  private async sessionAfterWait(
    nodeId: string,
    { requestId, waitMs }: GetSessionRequest,
    { receivedAtMs, signal, draining, revoked }: Reader & Pick<CallContext, "receivedAtMs">,
  ): Promise<RequestRecord> {
    const { admission, clock } = this.modules;
    const timeout = new AbortController();
    const cancel = clock.at(receivedAtMs + waitMs, () => timeout.abort());
    const waiting = createLinkedAbortController(signal, draining, revoked, timeout.signal);
    try {
      for (;;) {
        const request = admission.request(nodeId, requestId);
        const mayWait = waitMs > 0 && !waiting.signal.aborted;
        if (request.summary !== undefined || !mayWait) return request;
        await nextChange([admission.node(nodeId).changes], waiting.signal);
        revoked.throwIfAborted();
      }
    } finally {
      cancel();
      waiting.abort();
    }
  }

  /**
   * Throws a `Refusal` when the caller may not submit for the node: an epoch ends what earlier runs
   * of the node have submitted, which a caller that may only read must not do.
   */
  private checkMaySubmit(nodeId: string, { credential }: CallContext): void {
    try {
      this.modules.access.check(credential, { call: "SubmitSnapshot", nodeId });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const detail = `${error.message}; leave it out to read the results of every run`;
      throw new Refusal(error.kind, "node.node_epoch", detail);
    }
  }

  /** The request's node id. Throws a `Refusal` when the caller may not call this for that node. */
  private nodeOf(request: { node?: Node }, call: string, { credential }: CallContext): string {
    const nodeId = nodeIdOf(request.node);
    this.modules.access.check(credential, { call, nodeId });
    return nodeId;
  }
}

/** About how many bytes a session takes in an answer: mostly proofs and the inputs left out. */
function answerBytes({ outcomes }: Session): number {
  return outcomes.reduce<number>(
    (sum, outcome) => sum + outcome.proof.length + keptBytes(outcome),
    limits.recordBytes,
  );
}
