/** The trace of one snapshot until each of its groups has ended and was delivered. */
import type { Size } from "./attempts-in-progress.js";
import type { Attributes, Span, SpanName } from "./span.js";

export interface TracedGroup {
  readonly index: number;
  /** Of the span `group`, of which the others of the group are parts. */
  readonly spanId: string;
  readonly size: Size;
  state:
    | { kind: "waiting"; sinceMs: number }
    | { kind: "attempted"; attempt: number; sinceMs: number }
    | { kind: "ended"; atMs: number }
    | { kind: "delivered" };
}

export interface OpenTrace {
  readonly traceId: string;
  /** Of the span `snapshot`. */
  readonly spanId: string;
  /** Of the caller's span; empty without one. */
  readonly parentSpanId: string;
  /** Unix time less the service's monotonic clock, when the snapshot was accepted. */
  readonly offsetMs: number;
  readonly startedAtMs: number;
  readonly acceptedAtMs: number;
  readonly fenceAtMs: number;
  /** Of the span `snapshot`. */
  readonly attributes: Attributes;
  readonly groups: readonly TracedGroup[];
  /** Votes in proofs so far. */
  votesProved: number;
}

/** A step, in instants of the service's monotonic clock. */
export interface Step {
  name: SpanName;
  fromMs: number;
  toMs: number;
  attributes?: Attributes;
  status?: Span["status"];
}

/** @param ids of the span and its parent. Default for the parent: the span `snapshot`. */
export function spanOf(
  trace: OpenTrace,
  { name, fromMs, toMs, attributes = {}, status = "unset" }: Step,
  { spanId, parentSpanId = trace.spanId }: { spanId: string; parentSpanId?: string },
): Span {
  const { traceId, offsetMs } = trace;
  return {
    ...{ name, traceId, spanId, parentSpanId, attributes, status },
    isParentRemote: name === "snapshot" && parentSpanId !== "",
    startUnixMs: offsetMs + fromMs,
    endUnixMs: offsetMs + Math.max(fromMs, toMs),
  };
}
