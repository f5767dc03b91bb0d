/** Goes through a transcript with the TypeScript adapter. */
import { setTimeout as pause } from "node:timers/promises";
import { Registry } from "prom-client";
import { expect } from "vitest";
import { AggregatorError, TickAggregator, type TickResult } from "../../../client/index.js";
import {
  OutcomeReason,
  OutcomeStatus,
  RequestState,
  ServiceState,
  SkipReason,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { ScriptedEndpoint } from "./scripted-endpoint.js";
import type { Action, SeenResult, Sight, Step, Transcript } from "./transcript.js";

const POLL_MS = 10;
/** Time for a metric to have its value. */
const METRICS_MS = 1000;
/** Time for the adapter to receive what a service has sent. */
const SETTLE_MS = 100;
const GATES = { isAggregator: true, hasState: true };
const CODES = ["endpoint_is_balanced", "node_id_in_use"];
const STATES = {
  ready: ServiceState.READY,
  no_prover: ServiceState.NO_PROVER,
  draining: ServiceState.DRAINING,
};

/** Rejects with the number of the step that failed. */
export async function runTranscript(transcript: Transcript): Promise<void> {
  const run = new TranscriptRun(transcript.endpoints);
  try {
    for (const [at, step] of transcript.steps.entries()) {
      try {
        await run.take(step);
      } catch (cause) {
        const text = cause instanceof Error ? cause.message : String(cause);
        throw new Error(`step ${at} (${JSON.stringify(step)}): ${text}`, { cause });
      }
    }
    run.checkEnd();
  } finally {
    await run.stop();
  }
}

class TranscriptRun {
  private readonly endpoints: Map<string, ScriptedEndpoint>;
  private readonly registry = new Registry();
  private readonly ids = new Map<string, string>();
  private readonly skips: { request: string; reason: string }[] = [];
  private readonly codes: string[] = [];
  private results: TickResult[] = [];
  private adapter: TickAggregator | null = null;
  private isClosed = false;
  private slot = 0;
  private stepAtMs = performance.now();

  constructor(names: readonly string[]) {
    this.endpoints = new Map(names.map((name) => [name, new ScriptedEndpoint()]));
  }

  private makeAdapter(): TickAggregator {
    return new TickAggregator({
      endpoints: [...this.endpoints.values()].map(({ port }) => `127.0.0.1:${port}`),
      nodeId: "node-1",
      timeToFence: () => 0,
      registry: this.registry,
      onSkip: (reason, requestId) => this.skips.push({ request: this.labelOf(requestId), reason }),
      onError: (error) => {
        if (error instanceof AggregatorError && CODES.includes(error.kind))
          this.codes.push(error.kind);
      },
    });
  }

  async stop(): Promise<void> {
    await this.adapter?.close({ drainMs: 0 });
    for (const endpoint of this.endpoints.values()) endpoint.stop();
  }

  async take(step: Step): Promise<void> {
    if (!("do" in step) || step.do !== "start") this.adapter ??= this.makeAdapter();
    if ("do" in step) {
      if (step.afterMs !== undefined) await pause(step.afterMs);
      await this.act(step);
      if ("endpoint" in step && step.do !== "start") await pause(SETTLE_MS);
    } else if (step.see === "quiet") {
      await this.quiet(step.forMs);
    } else {
      const { withinMs = METRICS_MS, notBeforeMs = 0 } = step;
      await this.until(step, withinMs);
      expect(performance.now() - this.stepAtMs, "not before").toBeGreaterThanOrEqual(notBeforeMs);
    }
    this.stepAtMs = performance.now();
  }

  checkEnd(): void {
    for (const { submissions, cancels } of this.endpoints.values()) {
      expect(submissions, "unseen submissions").toEqual([]);
      expect(cancels, "unseen cancels").toEqual([]);
    }
    this.collect();
    expect(
      this.results.map((each) => this.seenResult(each)),
      "unseen results",
    ).toEqual([]);
    expect(this.skips, "unseen skips").toEqual([]);
  }

  private async act(step: Action): Promise<void> {
    switch (step.do) {
      case "start":
        return this.at(step.endpoint).start(step);
      case "submit":
        return this.submit(step);
      case "cancel": {
        const requestId = this.idOf(step.request);
        return this.node.cancelWhere(
          (group) => group.requestId === requestId && step.groups.includes(group.groupIndex),
        );
      }
      case "close":
        void this.node.close({ drainMs: step.drainMs }).then(() => (this.isClosed = true));
        return;
      default:
        return this.serve(this.at(step.endpoint), step);
    }
  }

  private serve(
    endpoint: ScriptedEndpoint,
    step: Exclude<Action, { do: "start" | "submit" | "cancel" | "close" }>,
  ): void {
    switch (step.do) {
      case "stop":
        return endpoint.stop();
      case "silence":
        return endpoint.silence();
      case "opened":
        return this.open(endpoint, step);
      case "accept":
        return endpoint.accept(this.idOf(step.request), step.fenceMs);
      case "skip": {
        const reason = SkipReason[step.reason.toUpperCase() as keyof typeof SkipReason];
        const result = { case: "skipped", value: { reason } } as const;
        return endpoint.answer(this.idOf(step.request), { result });
      }
      case "fail":
        return endpoint.fail(this.idOf(step.request), step.code, step.message ?? "scripted");
      case "outcome":
        return this.outcome(endpoint, step);
      case "summary": {
        const value = { requestId: this.idOf(step.request), durationMs: 100 };
        return endpoint.send({ case: "summary", value });
      }
      case "status":
        return endpoint.send({ case: "status", value: { state: STATES[step.state] } });
      case "sending":
        return endpoint.send({ case: "sending", value: { bytes: step.bytes } });
      case "end":
        return endpoint.end(step.code, step.message ?? "scripted");
    }
  }

  private open(endpoint: ScriptedEndpoint, step: Extract<Action, { do: "opened" }>): void {
    const known = step.known.map((label) => this.idOf(label));
    const awaited = endpoint.newestAwaited.map(({ requestId }) => ({
      requestId,
      state: known.includes(requestId) ? RequestState.IN_FLIGHT : RequestState.UNKNOWN,
    }));
    endpoint.opened({ status: { state: STATES[step.state ?? "ready"] }, awaited });
  }

  private outcome(endpoint: ScriptedEndpoint, step: Extract<Action, { do: "outcome" }>): void {
    const { group, participants = "01", proofBytes = 32, isErased = false } = step;
    const isProof = step.status === "PROVED" || step.status === "PROVED_LATE";
    const value = {
      requestId: this.idOf(step.request),
      groupIndex: group,
      slot: BigInt(this.slot),
      message: new Uint8Array(32).fill(group + 1),
      status: OutcomeStatus[step.status],
      ...(step.reason && { reason: OutcomeReason[step.reason] }),
      ...(isProof && { participants: new Uint8Array(Buffer.from(participants, "hex")) }),
      ...(isProof && !isErased && { proof: new Uint8Array(proofBytes) }),
      proofErased: isErased,
    };
    endpoint.send({ case: "outcome", value });
  }

  private submit(step: Extract<Action, { do: "submit" }>): void {
    const { slot, deadlineMs, fenceMs, priority, holdMs, mayReplace } = step;
    this.slot = slot;
    const snapshot = () => ({
      groups: Array.from({ length: step.groups }, (_, group) => {
        const root = new Uint8Array(32).fill(group + 1);
        const point = { root, slot: BigInt(slot) };
        const data = { slot: BigInt(slot), head: point, target: point, source: point };
        const signature = new Uint8Array(1);
        return { data, rawSignatures: [{ validatorIndex: group, signature }] };
      }),
    });
    const answer = this.node.submitOrSkip(slot, GATES, snapshot, {
      deadlineMs,
      fenceMs,
      ...(priority && { priority }),
      ...(holdMs !== undefined && { holdMs }),
      ...(mayReplace !== undefined && { mayReplace }),
    });
    if ("skipped" in answer) expect(answer.skipped).toBe(step.skipped);
    else {
      expect(step.skipped).toBeUndefined();
      this.ids.set(step.request, answer.requestId);
    }
  }

  /** Waits until the sight has come, and takes it out of what is unseen. */
  private async until(sight: Sight, withinMs: number): Promise<void> {
    const endMs = this.stepAtMs + withinMs;
    for (;;) {
      if (await this.hasCome(sight)) return;
      if (performance.now() > endMs) throw new Error(`did not come within ${withinMs} ms`);
      await pause(POLL_MS);
    }
  }

  /** Throws when something else has come in the sight's place. */
  private async hasCome(sight: Sight): Promise<boolean> {
    switch (sight.see) {
      case "stream":
        return this.hasStream(sight);
      case "submission":
        return this.hasSubmission(sight);
      case "both":
        return this.hasBoth(sight);
      case "cancel": {
        const cancel = this.at(sight.endpoint).cancels.shift();
        if (cancel === undefined) return false;
        expect(this.labelOf(cancel.requestId)).toBe(sight.request);
        expect(cancel.groupIndices).toEqual(sight.groups);
        return true;
      }
      case "broken": {
        const endpoint = this.at(sight.endpoint);
        const { broken } = endpoint;
        endpoint.broken = 0;
        return broken > 0;
      }
      case "results":
        return this.hasResults(sight.results, sight.slot);
      case "skip": {
        const skip = this.skips.shift();
        if (skip !== undefined)
          expect(skip).toEqual({ request: sight.request, reason: sight.reason });
        return skip !== undefined;
      }
      case "error": {
        const code = this.codes.shift();
        if (code !== undefined) expect(code).toBe(sight.code);
        return code !== undefined;
      }
      case "closed":
        return this.isClosed;
      case "metrics":
        return this.hasMetrics(sight.values);
    }
  }

  private hasStream({ endpoint, awaited }: Extract<Sight, { see: "stream" }>): boolean {
    const stream = this.at(endpoint).streams.shift();
    if (stream === undefined) return false;
    expect(stream.node?.nodeId).toBe("node-1");
    const seen = stream.awaited.map(({ requestId, receivedGroups }) => ({
      request: this.labelOf(requestId),
      receivedGroups,
    }));
    expect(seen).toEqual(awaited);
    return true;
  }

  private hasSubmission(sight: Extract<Sight, { see: "submission" }>): boolean {
    const submission = this.at(sight.endpoint).submissions.shift();
    if (submission === undefined) return false;
    expect(this.labelOf(submission.requestId)).toBe(sight.request);
    for (const field of ["deadlineMs", "fenceMs"] as const) {
      const [from, to] = sight[field];
      expect(submission[field], field).toBeGreaterThanOrEqual(from);
      expect(submission[field], field).toBeLessThanOrEqual(to);
    }
    return true;
  }

  private hasBoth(sight: Extract<Sight, { see: "both" }>): boolean {
    const { streams, submissions, arrivals } = this.at(sight.endpoint);
    const [stream] = streams;
    const [submission] = submissions;
    if (stream === undefined || submission === undefined) return false;
    streams.shift();
    submissions.shift();
    expect(this.labelOf(submission.requestId)).toBe(sight.request);
    const [streamAt = 0, submissionAt = 0] = [arrivals.get(stream), arrivals.get(submission)];
    const awaited = stream.awaited.map(({ requestId }) => this.labelOf(requestId));
    if (submissionAt < streamAt) expect(awaited, "of a later stream").toContain(sight.request);
    return true;
  }

  private hasResults(wanted: readonly SeenResult[], slot: number): boolean {
    this.slot = slot;
    this.collect();
    const seen = this.results.slice(0, wanted.length).map((each) => this.seenResult(each));
    expect(seen).toEqual(wanted.slice(0, seen.length));
    if (seen.length < wanted.length) return false;
    this.results.splice(0, wanted.length);
    return true;
  }

  private async hasMetrics(values: Record<string, number>): Promise<boolean> {
    const lines = (await this.registry.metrics()).split("\n");
    return Object.entries(values).every(([name, value]) => lines.includes(`${name} ${value}`));
  }

  private async quiet(forMs: number): Promise<void> {
    const calls = () => [...this.endpoints.values()].reduce((sum, { seen }) => sum + seen, 0);
    const before = calls();
    await pause(forMs);
    this.collect();
    expect(calls() - before, "calls and breaks").toBe(0);
    expect(this.results.map((each) => this.seenResult(each))).toEqual([]);
    expect(this.skips).toEqual([]);
    expect(this.codes).toEqual([]);
  }

  private collect(): void {
    this.results.push(...this.node.takeResults(this.slot));
  }

  private seenResult({ kind, requestId, groupIndex, endpoint }: TickResult): SeenResult {
    const named = [...this.endpoints].find(([, { port }]) => endpoint === `127.0.0.1:${port}`);
    return {
      kind,
      request: this.labelOf(requestId),
      group: groupIndex,
      endpoint: named?.[0] ?? null,
    };
  }

  private get node(): TickAggregator {
    return (this.adapter ??= this.makeAdapter());
  }

  private at(name: string): ScriptedEndpoint {
    const endpoint = this.endpoints.get(name);
    if (endpoint === undefined) throw new Error(`the transcript has no endpoint ${name}`);
    return endpoint;
  }

  private idOf(label: string): string {
    const id = this.ids.get(label);
    if (id === undefined) throw new Error(`the transcript has not submitted ${label}`);
    return id;
  }

  private labelOf(requestId: string): string {
    return [...this.ids].find(([, id]) => id === requestId)?.[0] ?? `another (${requestId})`;
  }
}
