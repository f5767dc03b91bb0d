/**
 * Runs the effects of the adapter's state machine: counts, verifies, reconciles, and keeps what has
 * been handed out. One for each `TickAggregator`; nothing here throws or rejects.
 */
import type { Outcome } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { AdapterEffect, AdapterEvent, AdapterResult, GroupRef } from "./events.js";
import type { AdapterMetrics } from "./metrics.js";
import { transition } from "./rules.js";
import { createAdapterState, isIdle, targetOf, type AdapterState, type Session } from "./state.js";
import type { Endpoint } from "./endpoints.js";
import { AggregatorError } from "../errors.js";
import type { TickAggregatorOptions, TickResult } from "./options.js";
import { eventsOfSession } from "./wire-events.js";

/** For calls that the server answers from memory, in milliseconds. */
const CALL_TIMEOUT_MS = 500;

export interface AdapterShellModules {
  node: { nodeId: string; nodeEpoch: bigint };
  endpoints: readonly [Endpoint, ...Endpoint[]];
  metrics: AdapterMetrics;
  nowMs: () => number;
}

export class AdapterShell {
  readonly #state: AdapterState<Outcome>;
  #results: TickResult[] = [];
  #onIdle: (() => void) | null = null;

  constructor(
    private readonly options: Pick<TickAggregatorOptions, "verify" | "onError">,
    private readonly modules: AdapterShellModules,
  ) {
    this.#state = createAdapterState({
      endpoints: addressesOf(modules.endpoints),
      hasVerifyHook: options.verify !== undefined,
    });
  }

  /** Applies one event and carries out its effects, which are returned. */
  dispatch(event: AdapterEvent<Outcome>): AdapterEffect<Outcome>[] {
    const effects = transition(this.#state, event, this.modules.nowMs());
    for (const effect of effects) this.#run(effect);
    if (this.#onIdle !== null && isIdle(this.#state)) this.#onIdle();
    return effects;
  }

  #run(effect: AdapterEffect<Outcome>): void {
    switch (effect.type) {
      case "go":
        return;
      case "skip":
        return this.modules.metrics.skips.inc({ reason: effect.reason });
      case "verify":
        return void this.#verify(effect.ref, effect.payload);
      case "reconcile":
        return void this.#reconcile(effect.endpoint, effect.sessionId);
      case "deliver":
        return void this.#results.push(resultOf(effect.result));
      case "summarised":
        return this.modules.metrics.workerSeconds.observe(effect.durationMs / 1000);
      case "late":
        return this.modules.metrics.lateResults.inc();
      case "fenced":
        return this.modules.metrics.fencedResults.inc();
      case "lost":
        return this.modules.metrics.lostGroups.inc();
      case "dropped":
        return this.modules.metrics.droppedResults.inc();
    }
  }

  /** Where a submission goes now; null: no endpoint can be reached. */
  target(): Endpoint | null {
    const address = targetOf(this.#state, this.modules.nowMs());
    return address === null ? null : (this.#endpointAt(address) ?? null);
  }

  /** Never rejects. */
  async #verify(ref: GroupRef, outcome: Outcome): Promise<void> {
    let isValid = false;
    try {
      isValid = (await this.options.verify?.(outcome)) ?? true;
    } catch (error) {
      this.report(error);
    }
    this.dispatch({ type: "verified", ref, isValid });
  }

  /** Asks for what a gap has swallowed. Never rejects; without an answer the fence ends it. */
  async #reconcile(endpoint: string, sessionId: string): Promise<void> {
    const client = this.#endpointAt(endpoint)?.client;
    try {
      const request = { node: this.modules.node, sessionId };
      const response = await client?.getSession(request, { timeoutMs: CALL_TIMEOUT_MS });
      if (response?.session === undefined) return;
      for (const event of eventsOfSession(endpoint, response.session)) this.dispatch(event);
    } catch (error) {
      const failure = AggregatorError.from(error);
      if (failure.kind === "not_found")
        this.dispatch({ type: "reconciled", endpoint, sessionId, isEnded: true });
      else this.report(failure);
    }
  }

  /** Hands over what has been delivered since the last call. */
  drainResults(): TickResult[] {
    const results = this.#results;
    this.#results = [];
    return results;
  }

  /** Cancels what is still in flight; the answers end its groups. */
  async cancelAll(): Promise<void> {
    const open = [...this.#state.sessions.values()].filter((each) => each.ended.size < each.groups);
    await Promise.all(open.map((session) => this.#cancel(session)));
  }

  async #cancel({ endpoint, sessionId }: Session): Promise<void> {
    try {
      const request = { node: this.modules.node, sessionId };
      const options = { timeoutMs: CALL_TIMEOUT_MS };
      const response = await this.#endpointAt(endpoint)?.client.cancelSession(request, options);
      if (response?.session === undefined) return;
      for (const event of eventsOfSession(endpoint, response.session)) this.dispatch(event);
    } catch (error) {
      this.report(error);
    }
  }

  /** Resolves when nothing more can come, after `timeoutMs` at the latest. */
  async untilIdle(timeoutMs: number): Promise<void> {
    if (isIdle(this.#state)) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#onIdle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#onIdle = null;
  }

  /** Passes an error on to the node's reporter. */
  report(error: unknown): void {
    try {
      this.options.onError?.(error instanceof Error ? error : new Error(String(error)));
    } catch {
      // A reporter that throws must not reach the tick, and there is nobody left to tell.
    }
  }

  #endpointAt(address: string): Endpoint | undefined {
    return this.modules.endpoints.find((endpoint) => endpoint.address === address);
  }
}

function addressesOf([first, ...rest]: readonly [Endpoint, ...Endpoint[]]): [string, ...string[]] {
  return [first.address, ...rest.map(({ address }) => address)];
}

/** Field by field: a node may have thousands waiting, and spreading them takes milliseconds. */
function resultOf(result: AdapterResult<Outcome>): TickResult {
  const { requestId, endpoint, sessionId, groupIndex, slot } = result.ref;
  return result.kind === "outcome"
    ? { kind: "outcome", requestId, endpoint, sessionId, groupIndex, slot, outcome: result.payload }
    : { kind: result.kind, requestId, endpoint, sessionId, groupIndex, slot };
}
