/**
 * Makes the spans of traces from what happens in the service (see `activity.ts`), in its order: one trace
 * for each accepted snapshot, and a single span for each one that was skipped. A trace is the caller's where
 * the caller sent a context; else its id begins with the session's. Pure, except for the random ids.
 */
import { createHash } from "node:crypto";
import { SkipReason } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { ActivityRecord } from "../activity.js";
import { limits } from "../limits.js";
import { priorityNames } from "../work/priority.js";
import { AttemptsInProgress } from "./attempts-in-progress.js";
import type { Job, ValueOf } from "./attempts-in-progress.js";
import type { OpenTrace, Step, TracedGroup } from "./open-trace.js";
import { spanOf } from "./open-trace.js";
import type { Span } from "./span.js";
import { endingOf, fatesOf, sizeOf, statusOf, whoOf } from "./span-attributes.js";
import { readTraceparent } from "./trace-context.js";

/** Time after its fence after which a trace ends, whatever is known of it. */
const OVERDUE_MS = 2000;
const SPAN_ID_BYTES = 8;
const TRACE_ID_DIGITS = 32;

export interface TracesOptions {
  /** Share of the snapshots without a caller's context that are traced: 0 to 1. */
  ratio: number;
}

export interface TracesModules {
  /** Unix time less the service's monotonic clock, in milliseconds. */
  offsetMs(): number;
  random(bytes: number): Buffer;
  /** Gets each span when it has ended. */
  ended(span: Span): void;
  /** Called for each trace that is not made, as too many are open. */
  dropped(): void;
}

export class Traces {
  private readonly open = new Map<string, OpenTrace>();
  private readonly attempts = new AttemptsInProgress();

  constructor(
    private readonly options: TracesOptions,
    private readonly modules: TracesModules,
  ) {}

  /** Takes the next activity. */
  take({ atMs = 0, event }: ActivityRecord): void {
    switch (event?.case) {
      case "accepted":
        return this.accepted(event.value, atMs);
      case "skipped":
        return this.skipped(event.value, atMs);
      case "started":
        return this.started(event.value, atMs);
      case "job":
        return this.attempts.jobStarted(event.value, atMs);
      case "lane":
        return this.attempts.laneChanged(event.value, atMs);
      case "ended":
        return this.groupEnded(event.value, atMs);
      case "delivered":
        return this.delivered(event.value, atMs);
      default:
    }
  }

  /** Ends the traces of which the fence has passed. Proofs that nobody has taken are erased by then. */
  expire(nowMs: number): void {
    for (const [sessionId, trace] of this.open) {
      if (nowMs < trace.fenceAtMs + OVERDUE_MS) continue;
      for (const group of trace.groups) {
        const { state } = group;
        if (state.kind === "ended") {
          const times = { fromMs: state.atMs, toMs: trace.fenceAtMs };
          const status = { error: "not taken by the fence" };
          this.emit(trace, { name: "deliver", ...times, status }, group);
        } else if (state.kind === "attempted") {
          this.attempts.left(state.attempt);
        }
      }
      this.open.delete(sessionId);
    }
  }

  /** Trace id and parent; undefined when no trace is to be made. @param seed of a new trace id */
  private contextOf(traceparent: string | undefined, seed: string) {
    const context = readTraceparent(traceparent);
    if (context !== undefined) {
      const { traceId, spanId: parentSpanId, isSampled } = context;
      return isSampled ? { traceId, parentSpanId } : undefined;
    }
    const digest = createHash("sha256").update(seed).digest("hex");
    const isTraced = Number.parseInt(digest.slice(0, 8), 16) < this.options.ratio * 2 ** 32;
    return isTraced
      ? { traceId: `${seed}${digest}`.slice(0, TRACE_ID_DIGITS), parentSpanId: "" }
      : undefined;
  }

  private spanId(): string {
    return this.modules.random(SPAN_ID_BYTES).toString("hex");
  }

  private accepted(accepted: ValueOf<"accepted">, atMs: number): void {
    const { sessionId = "", receivedAtMs = atMs, fenceAtMs = atMs, groups = [] } = accepted;
    const context = this.contextOf(accepted.traceparent, sessionId);
    if (context === undefined) return;
    if (this.open.size >= limits.tracesOpenMax) return this.modules.dropped();
    const { deadlineAtMs = atMs } = accepted;
    const trace: OpenTrace = {
      ...context,
      spanId: this.spanId(),
      offsetMs: this.modules.offsetMs(),
      startedAtMs: receivedAtMs,
      acceptedAtMs: atMs,
      fenceAtMs,
      attributes: {
        ...whoOf(accepted),
        "lean.session": sessionId,
        "lean.duty": Object.values(priorityNames)[(accepted.priority ?? 0) - 1] ?? "",
        "lean.deadline_ms": Math.round(deadlineAtMs - receivedAtMs),
        "lean.fence_ms": Math.round(fenceAtMs - receivedAtMs),
        "lean.groups": groups.length,
        "lean.votes": groups.reduce((sum, { votes = 0 }) => sum + votes, 0),
      },
      groups: groups.map((size, index) => ({
        ...{ index, size, spanId: this.spanId() },
        state: { kind: "waiting", sinceMs: atMs },
      })),
      votesProved: 0,
    };
    this.open.set(sessionId, trace);
    this.emit(trace, { name: "accept", fromMs: receivedAtMs, toMs: atMs, status: "ok" });
  }

  private skipped(skipped: ValueOf<"skipped">, atMs: number): void {
    const { receivedAtMs = atMs, reason = SkipReason.UNSPECIFIED, detail = "" } = skipped;
    const seed = this.modules.random(SPAN_ID_BYTES).toString("hex");
    const context = this.contextOf(skipped.traceparent, seed);
    if (context === undefined) return;
    const name = SkipReason[reason].toLowerCase();
    const attributes = { "lean.skip_reason": name, "lean.skip_detail": detail };
    const offsetMs = this.modules.offsetMs();
    this.modules.ended({
      ...context,
      ...{ name: "snapshot", spanId: this.spanId(), isParentRemote: context.parentSpanId !== "" },
      startUnixMs: offsetMs + receivedAtMs,
      endUnixMs: offsetMs + atMs,
      attributes: { ...whoOf(skipped), ...attributes },
      // A skip is how a busy service answers: an answer, not a fault.
      status: "unset",
    });
  }

  private started(started: ValueOf<"started">, atMs: number): void {
    const { sessionId = "", groupIndex = 0, attempt = 0 } = started;
    const trace = this.open.get(sessionId);
    const group = trace?.groups[groupIndex];
    if (trace === undefined || group === undefined) return;
    const { state } = group;
    if (state.kind === "waiting") {
      this.emit(trace, { name: "wait", fromMs: state.sinceMs, toMs: atMs, status: "ok" }, group);
    } else if (state.kind === "attempted") {
      // No result of the attempt before came, or its prover died: the group has waited again.
      const lostAtMs = this.endAttempt(trace, group, { atMs, status: { error: "lost" } });
      this.emit(trace, { name: "wait", fromMs: lostAtMs, toMs: atMs, status: "ok" }, group);
    } else return;
    this.attempts.joined(started, atMs);
    group.state = { kind: "attempted", attempt, sinceMs: atMs };
  }

  private groupEnded(ended: ValueOf<"ended">, atMs: number): void {
    const { sessionId = "", groupIndex = 0, votes, proveMs = 0 } = ended;
    const trace = this.open.get(sessionId);
    const group = trace?.groups[groupIndex];
    if (trace === undefined || group === undefined) return;
    const { state, spanId, size } = group;
    const status = statusOf(ended);
    if (state.kind === "waiting") {
      this.emit(trace, { name: "wait", fromMs: state.sinceMs, toMs: atMs, status }, group);
    } else if (state.kind === "attempted") {
      this.endAttempt(trace, group, { atMs, status, proveMs });
    } else return;
    group.state = { kind: "ended", atMs };
    const { proved = [], ...others } = votes ?? {};
    const votesProved = proved.reduce((sum, count) => sum + count, 0);
    const attributes = {
      ...sizeOf(size),
      "lean.votes": size.votes ?? 0,
      ...fatesOf(others),
      "lean.votes_proved": votesProved,
      ...endingOf(ended),
    };
    const times = { fromMs: trace.acceptedAtMs, toMs: atMs };
    this.emit(trace, { name: "group", ...times, attributes, status }, group, {
      ...{ spanId, parentSpanId: trace.spanId },
    });
    trace.votesProved += votesProved;
    this.endTrace(sessionId, trace, atMs);
  }

  /** Ends the span of the snapshot once its last group has ended. */
  private endTrace(sessionId: string, trace: OpenTrace, atMs: number): void {
    const states = trace.groups.map(({ state }) => state.kind);
    if (states.some((kind) => kind === "waiting" || kind === "attempted")) return;
    const { startedAtMs: fromMs, spanId, parentSpanId, votesProved } = trace;
    const attributes = { ...trace.attributes, "lean.votes_proved": votesProved };
    const step = { name: "snapshot", fromMs, toMs: atMs, attributes, status: "ok" } as const;
    this.modules.ended(spanOf(trace, step, { spanId, parentSpanId }));
    if (states.every((kind) => kind === "delivered")) this.open.delete(sessionId);
  }

  private delivered({ sessionId = "", groupIndex = 0 }: ValueOf<"delivered">, atMs: number): void {
    const trace = this.open.get(sessionId);
    const group = trace?.groups[groupIndex];
    if (trace === undefined || group?.state.kind !== "ended") return;
    const times = { fromMs: group.state.atMs, toMs: atMs };
    this.emit(trace, { name: "deliver", ...times, status: "ok" }, group);
    group.state = { kind: "delivered" };
    if (trace.groups.every(({ state }) => state.kind === "delivered")) this.open.delete(sessionId);
  }

  /** The spans of the group's attempt. Returns when the attempt's last job ended. */
  private endAttempt(
    trace: OpenTrace,
    group: TracedGroup,
    end: { atMs: number; status: Span["status"]; proveMs?: number },
  ): number {
    if (group.state.kind !== "attempted") return end.atMs;
    const { attempt, sinceMs } = group.state;
    const jobs = this.attempts.jobsOf(attempt);
    const isTree = jobs.length > 1;
    let lastMs = sinceMs;
    for (const job of jobs) {
      const fromMs = Math.max(sinceMs, job.startedAtMs);
      const toMs = Math.max(fromMs, Math.min(job.endedAtMs ?? end.atMs, end.atMs));
      lastMs = Math.max(lastMs, toMs);
      // Of a tree, the time of a proof alone is not known: it is until its lane does something else.
      const proveMs = isTree ? 0 : (end.proveMs ?? 0);
      for (const step of stepsOf(job, { fromMs, toMs, proveMs, status: end.status })) {
        const which = { "lean.attempt": attempt, ...(isTree && { "lean.job": job.number }) };
        const where = { "lean.device": job.deviceId };
        const attributes = { ...which, ...where, ...step.attributes };
        this.emit(trace, { ...step, attributes }, group);
      }
    }
    this.attempts.left(attempt);
    return lastMs;
  }

  private emit(
    trace: OpenTrace,
    step: Step,
    group?: TracedGroup,
    ids: { spanId: string; parentSpanId?: string } = {
      spanId: this.spanId(),
      ...(group && { parentSpanId: group.spanId }),
    },
  ): void {
    const which = group && { "lean.group": group.index };
    this.modules.ended(
      spanOf(trace, { ...step, attributes: { ...which, ...step.attributes } }, ids),
    );
  }
}

/** What a lane did with a job. */
function stepsOf(
  { proof, cores }: Job,
  end: { fromMs: number; toMs: number; proveMs: number; status: Span["status"] },
): Step[] {
  const { fromMs, toMs, proveMs, status } = end;
  // A lane host may report that a proof runs only when it has ended.
  const knownMs = proof?.startedAtMs ?? (proveMs > 0 ? toMs - proveMs : undefined);
  if (knownMs === undefined) return [{ name: "verify_inputs", fromMs, toMs, status }];
  const provingMs = Math.min(toMs, Math.max(fromMs, knownMs));
  const provedMs = proveMs > 0 ? Math.min(toMs, provingMs + proveMs) : toMs;
  const size = proof === undefined ? {} : sizeOf(proof.size);
  const attributes = { ...size, ...(cores > 0 && { "lean.cores": cores }) };
  const steps: Step[] = [
    { name: "verify_inputs", fromMs, toMs: provingMs, status: "ok" },
    { name: "prove", fromMs: provingMs, toMs: provedMs, attributes, status },
  ];
  if (proveMs > 0) steps.push({ name: "verify_proof", fromMs: provedMs, toMs, status });
  return steps;
}
