/**
 * Carries out the effects of the adapter's machine: sends and cancels requests, verifies proofs,
 * updates metrics, and keeps results until the node takes them. Each `TickAggregator` has one
 * `AdapterShell`. No method throws or rejects.
 */
import type { Outcome } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { AggregatorError, assertNever, errorAt, isFinal } from "../errors.js";
import { createMachine, isIdle, transition } from "../machine/index.js";
import type {
  AdapterEffect,
  AdapterEvent,
  AdapterResult,
  AdapterSkipReason,
  GroupRef,
} from "../machine/index.js";
import type { LiveRequest } from "../rpc/live-results.js";
import { liveResults } from "../rpc/live-results.js";
import { TIMER_MS_MAX } from "../rpc/unary-call.js";
import type { Endpoint } from "./endpoints.js";
import { countOutcome, type AdapterMetrics } from "./metrics.js";
import { OpenGroups } from "./open-groups.js";
import type { TickAggregatorOptions, TickResult } from "./options.js";
import { RequestSender } from "./request-sender.js";
import { SubmitSpans } from "./submit-spans.js";
import { eventOf } from "./wire-events.js";

/** Time limit of CancelSession, in milliseconds: the server answers from memory. */
const CANCEL_TIMEOUT_MS = 500;

export interface AdapterShellModules {
  node: { nodeId: string; nodeEpoch: bigint };
  endpoints: readonly Endpoint[];
  metrics: AdapterMetrics;
  nowMs: () => number;
}

type ShellOptions = Pick<TickAggregatorOptions, "verify" | "onError" | "tracer"> & {
  /** `mayPass`: the service has refused the call for what is not in the request. */
  onSkip: (reason: AdapterSkipReason, requestId: string, mayPass: boolean) => void;
};
type Effect<K extends AdapterEffect<Outcome>["kind"]> = Extract<
  AdapterEffect<Outcome>,
  { kind: K }
>;

export class AdapterShell {
  readonly sender: RequestSender;
  readonly openGroups = new OpenGroups();
  readonly spans: SubmitSpans;
  private state;
  private results: TickResult[] = [];
  private readonly cancels = new Set<Promise<void>>();
  private onIdle: (() => void) | null = null;
  /** The text of the last warning. */
  private warned = "";
  /** Id of the request that was refused last for what is not in it. */
  private blameless = "";

  constructor(
    private readonly options: ShellOptions,
    private readonly modules: AdapterShellModules,
  ) {
    this.state = createMachine<Outcome>({
      endpoints: modules.endpoints.map(({ address }) => address),
      hasVerifyHook: options.verify !== undefined,
    });
    this.spans = new SubmitSpans(options.tracer, (error) => this.report(error));
    this.sender = new RequestSender({
      endpointAt: (address) => this.endpointAt(address),
      nowMs: modules.nowMs,
      onAnswer: (answer) => {
        if (answer.mayPass === true) this.blameless = answer.requestId;
        this.dispatch(answer);
      },
      onError: (error) => this.report(error),
    });
  }

  /** Applies one event, carries out its effects, and returns them. */
  dispatch(event: AdapterEvent<Outcome>): readonly AdapterEffect<Outcome>[] {
    const { state, effects } = transition(this.state, event, this.modules.nowMs());
    this.state = state;
    for (const effect of effects) this.run(effect);
    this.sender.endOver((requestId) => !this.state.requests.has(requestId));
    if (this.onIdle !== null && isIdle(this.state)) this.onIdle();
    return effects;
  }

  /** Reads the endpoint's result stream until `signal` aborts. Never rejects. */
  async readFrom({ address: endpoint, client }: Endpoint, signal: AbortSignal): Promise<void> {
    const isSszBitlists = (requestId: string) => this.openGroups.isSszBitlists(requestId);
    const request = () => this.streamRequest(endpoint);
    for await (const event of liveResults(client, request, signal)) {
      if (event.kind === "broken") {
        this.dispatch({ kind: "disconnected", endpoint, isSilent: event.isSilent });
        this.report(errorAt(endpoint, event.error));
      } else {
        const wireEvent = eventOf(endpoint, event.response, isSszBitlists);
        if (wireEvent !== null) this.dispatch(wireEvent);
      }
    }
  }

  /** Returns the results that were delivered since the last call. */
  drainResults(): TickResult[] {
    const { results } = this;
    this.results = [];
    return results;
  }

  /** Resolves when no cancel is under way any more: each ends within 500 ms. */
  async untilCancelled(): Promise<void> {
    await Promise.all(this.cancels);
  }

  /**
   * Resolves when nothing is in flight any more, and after `timeoutMs` milliseconds at the latest.
   */
  async untilIdle(timeoutMs: number): Promise<void> {
    if (isIdle(this.state)) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.min(timeoutMs, TIMER_MS_MAX));
      this.onIdle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.onIdle = null;
  }

  /**
   * Passes an error on to the node's `onError`. Without one, an error that every try would meet
   * again is a warning of the process, once for each text: else a node could be refused for ever in
   * silence.
   */
  report(error: unknown): void {
    const failure = error instanceof Error ? error : new Error(String(error));
    const { onError = (unheard: Error) => this.warn(unheard) } = this.options;
    try {
      onError(failure);
    } catch {
      // An error from the node's own `onError` must not reach the tick, and has no other listener.
    }
  }

  private warn(error: Error): void {
    const mayPass = error instanceof AggregatorError && !isFinal(error.kind);
    if (mayPass || error.message === this.warned) return;
    this.warned = error.message;
    process.emitWarning(error.message, { type: "LeanAggregatorWarning" });
  }

  private run(effect: AdapterEffect<Outcome>): void {
    const { metrics } = this.modules;
    switch (effect.kind) {
      case "go":
      case "await": // The answers to `ask` and `opening`: who dispatched those reads them.
        return;
      case "skip":
        return this.skip(effect);
      case "send":
        if (effect.isResubmission) metrics.resubmitted.inc();
        return this.sender.send(effect);
      case "cancel":
        return this.cancel(effect);
      case "forget":
        return this.sender.forget(effect.requestId);
      case "verify":
        return void this.verify(effect.ref, effect.payload); // never rejects
      case "deliver":
        this.endGroup(effect.result.ref);
        if (effect.result.kind === "outcome") countOutcome(metrics, effect.result.payload);
        return void this.results.push(resultOf(effect.result));
      case "summarised":
        return metrics.workerSeconds.observe(effect.durationMs / 1000);
      case "balanced":
        return this.report(balancedError(effect.endpoint));
      case "late":
        return metrics.lateResults.inc();
      case "lost":
        return metrics.lostGroups.inc();
      case "fenced":
        this.endGroup(effect.ref);
        return metrics.fencedResults.inc();
      case "dropped":
        this.endGroup(effect.ref);
        return metrics.droppedResults.inc();
      default:
        return assertNever(effect);
    }
  }

  private endGroup(ref: GroupRef): void {
    this.openGroups.end(ref);
    this.spans.groupEnded(ref.requestId);
  }

  private skip({ requestId, reason }: Effect<"skip">): void {
    this.modules.metrics.skips.inc({ reason });
    if (requestId === null) return;
    this.openGroups.endRequest(requestId);
    this.spans.skipped(requestId, reason);
    try {
      this.options.onSkip(reason, requestId, requestId === this.blameless);
    } catch (error) {
      this.report(error);
    }
  }

  private streamRequest(endpoint: string): LiveRequest {
    const { node } = this.modules;
    const effects = this.dispatch({ kind: "opening", endpoint });
    const awaited = effects.flatMap((effect) => (effect.kind === "await" ? effect.requests : []));
    return {
      node,
      awaited: awaited.map(({ requestId, receivedGroups }) => ({
        requestId,
        receivedGroups: [...receivedGroups],
      })),
    };
  }

  private async verify(ref: GroupRef, outcome: Outcome): Promise<void> {
    let isValid = false;
    try {
      isValid = await this.isAccepted(outcome);
    } catch (error) {
      this.report(error);
    }
    this.dispatch({ kind: "verified", ref, isValid });
  }

  /** Whether the node's hook accepts the proof: it may be JavaScript, and only `true` says yes. */
  private async isAccepted(outcome: Outcome): Promise<boolean> {
    const { verify } = this.options;
    if (verify === undefined) return true;
    const answer: unknown = await verify(outcome);
    return answer === true;
  }

  /** Nobody waits for the answer, and it changes nothing: the stream says how groups end. */
  private cancel({ endpoint, requestId, groups }: Effect<"cancel">): void {
    const { client } = this.endpointAt(endpoint) ?? {};
    if (client === undefined) return;
    const request = { node: this.modules.node, requestId, groupIndices: [...groups] };
    const call = client
      .cancelSession(request, { timeoutMs: CANCEL_TIMEOUT_MS })
      .catch((error: unknown) => {
        // The service has forgotten the request, or never had it: nothing is left to cancel.
        if (AggregatorError.from(error).kind !== "not_found") this.report(errorAt(endpoint, error));
      })
      .then(() => void this.cancels.delete(call));
    this.cancels.add(call);
  }

  private endpointAt(address: string): Endpoint | undefined {
    return this.modules.endpoints.find((endpoint) => endpoint.address === address);
  }
}

function balancedError(endpoint: string): AggregatorError {
  return new AggregatorError(
    "endpoint_is_balanced",
    `several services answer at ${endpoint}: give each of them an endpoint of its own, as what one ` +
      "of them holds, the others do not know",
  );
}

/** Copies field by field: thousands of results may wait, and spreading them takes milliseconds. */
function resultOf(result: AdapterResult<Outcome>): TickResult {
  const { requestId, endpoint, groupIndex, slot } = result.ref;
  return result.kind === "outcome"
    ? { kind: "outcome", requestId, endpoint, groupIndex, slot, outcome: result.payload }
    : { kind: result.kind, requestId, endpoint, groupIndex, slot };
}
