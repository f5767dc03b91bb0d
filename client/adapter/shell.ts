/**
 * Carries out the effects of the adapter's state machine: updates metrics, verifies proofs, asks
 * the service for missed outcomes, and keeps results until the node takes them. Each
 * `TickAggregator` has one `AdapterShell`. No method throws or rejects.
 */
import type { Outcome } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { AggregatorError, assertNever, isFinal } from "../errors.js";
import { TIMER_MS_MAX } from "../rpc/unary-call.js";
import type { Endpoint } from "./endpoints.js";
import type { AdapterEffect, AdapterEvent, AdapterResult, GroupRef } from "./events.js";
import type { AdapterMetrics } from "./metrics.js";
import type { TickAggregatorOptions, TickResult } from "./options.js";
import { transitionAdapter } from "./rules.js";
import { createAdapterState, isIdle, targetOf } from "./state.js";
import type { AdapterState, OpenSession } from "./state.js";
import { eventsOfSession } from "./wire-events.js";

/** Time limit of GetSession and CancelSession, in milliseconds: the server answers from memory. */
const CALL_TIMEOUT_MS = 500;

export interface AdapterShellModules {
  node: { nodeId: string; nodeEpoch: bigint };
  endpoints: readonly [Endpoint, ...Endpoint[]];
  metrics: AdapterMetrics;
  nowMs: () => number;
}

export class AdapterShell {
  private state: AdapterState<Outcome>;
  private results: TickResult[] = [];
  private onIdle: (() => void) | null = null;
  /** The text of the last warning. */
  private warned = "";

  constructor(
    private readonly options: Pick<TickAggregatorOptions, "verify" | "onError">,
    private readonly modules: AdapterShellModules,
  ) {
    this.state = createAdapterState({
      endpoints: addressesOf(modules.endpoints),
      hasVerifyHook: options.verify !== undefined,
    });
  }

  /** Applies one event, carries out its effects, and returns them. */
  dispatch(event: AdapterEvent<Outcome>): readonly AdapterEffect<Outcome>[] {
    const { state, effects } = transitionAdapter(this.state, event, this.modules.nowMs());
    this.state = state;
    for (const effect of effects) this.run(effect);
    if (this.onIdle !== null && isIdle(this.state)) this.onIdle();
    return effects;
  }

  /** The endpoint to which a submission goes now. Null: no endpoint can be reached. */
  target(): Endpoint | null {
    const address = targetOf(this.state, this.modules.nowMs());
    return address === null ? null : (this.endpointAt(address) ?? null);
  }

  /** Returns the results that were delivered since the last call. */
  drainResults(): TickResult[] {
    const { results } = this;
    this.results = [];
    return results;
  }

  /** Cancels every open session at the service. Its groups end by the service's answer. */
  async cancelAll(): Promise<void> {
    const open = [...this.state.sessions.values()].filter((each) => each.ended.size < each.groups);
    await Promise.all(open.map((session) => this.cancel(session)));
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
        return;
      case "skip":
        return metrics.skips.inc({ reason: effect.reason });
      case "verify":
        return void this.verify(effect.ref, effect.payload); // never rejects
      case "reconcile":
        return void this.reconcile(effect.endpoint, effect.sessionId); // never rejects
      case "deliver":
        return void this.results.push(resultOf(effect.result));
      case "summarised":
        return metrics.workerSeconds.observe(effect.durationMs / 1000);
      case "late":
        return metrics.lateResults.inc();
      case "fenced":
        return metrics.fencedResults.inc();
      case "lost":
        return metrics.lostGroups.inc();
      case "dropped":
        return metrics.droppedResults.inc();
      default:
        return assertNever(effect);
    }
  }

  private async verify(ref: GroupRef, outcome: Outcome): Promise<void> {
    let isValid = false;
    try {
      isValid = (await this.options.verify?.(outcome)) ?? true;
    } catch (error) {
      this.report(error);
    }
    this.dispatch({ kind: "verified", ref, isValid });
  }

  /**
   * Asks the service for a session's outcomes. Without an answer, the session ends at its fence.
   */
  private async reconcile(endpoint: string, sessionId: string): Promise<void> {
    try {
      const request = { node: this.modules.node, sessionId };
      const { client } = this.endpointAt(endpoint) ?? {};
      const response = await client?.getSession(request, { timeoutMs: CALL_TIMEOUT_MS });
      if (response?.session === undefined) return;
      for (const event of eventsOfSession(endpoint, response.session)) this.dispatch(event);
    } catch (error) {
      const failure = AggregatorError.from(error);
      if (failure.kind === "not_found")
        this.dispatch({ kind: "reconciled", endpoint, sessionId, isEnded: true });
      else this.report(failure);
    }
  }

  private async cancel({ endpoint, sessionId }: OpenSession): Promise<void> {
    try {
      const request = { node: this.modules.node, sessionId };
      const { client } = this.endpointAt(endpoint) ?? {};
      const response = await client?.cancelSession(request, { timeoutMs: CALL_TIMEOUT_MS });
      if (response?.session === undefined) return;
      for (const event of eventsOfSession(endpoint, response.session)) this.dispatch(event);
    } catch (error) {
      this.report(error);
    }
  }

  private endpointAt(address: string): Endpoint | undefined {
    return this.modules.endpoints.find((endpoint) => endpoint.address === address);
  }
}

function addressesOf([first, ...rest]: readonly [Endpoint, ...Endpoint[]]): [string, ...string[]] {
  return [first.address, ...rest.map(({ address }) => address)];
}

/** Copies field by field: thousands of results may wait, and spreading them takes milliseconds. */
function resultOf(result: AdapterResult<Outcome>): TickResult {
  const { requestId, endpoint, sessionId, groupIndex, slot } = result.ref;
  return result.kind === "outcome"
    ? { kind: "outcome", requestId, endpoint, sessionId, groupIndex, slot, outcome: result.payload }
    : { kind: result.kind, requestId, endpoint, sessionId, groupIndex, slot };
}
