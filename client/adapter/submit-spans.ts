/**
 * The spans `submit` of the node's traces: each lasts from the tick that submits a snapshot until the last of
 * its groups has ended at the adapter. Made by the node's own tracer, whose faults never reach the tick.
 */

/** What the adapter needs of a tracer; one of `@opentelemetry/api` is one. */
export interface SubmitTracer {
  /** Starts a span under the active one. */
  startSpan(name: string, options: { attributes: Record<string, string | number> }): SubmitSpan;
}

export interface SubmitSpan {
  spanContext(): { traceId: string; spanId: string; traceFlags: number };
  setAttribute(name: string, value: string | number): unknown;
  end(): void;
}

/** A snapshot that the tick submits. */
export interface Submitted {
  requestId: string;
  nodeId: string;
  slot: number;
  groups: number;
}

const SAMPLED = 1;
/** As the W3C writes it; an invalid one is not sent. */
const pattern = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

export class SubmitSpans {
  /** By request id, with the number of groups that have not ended. */
  private readonly open = new Map<string, { span: SubmitSpan; groups: number }>();

  /** @param report gets what the tracer throws */
  constructor(
    private readonly tracer: SubmitTracer | undefined,
    private readonly report: (error: unknown) => void,
  ) {}

  /**
   * Starts the span. Returns the header `traceparent` for the service: the node's own, if it gave a valid
   * one, else that of the span; undefined without both.
   */
  start({ requestId, nodeId, slot, groups }: Submitted, own?: string): string | undefined {
    let header: string | undefined;
    this.guarded(() => {
      const names = { "lean.node": nodeId, "lean.slot": slot, "lean.request": requestId };
      const attributes = { ...names, "lean.groups": groups };
      const span = this.tracer?.startSpan("submit", { attributes });
      if (span === undefined) return;
      this.open.set(requestId, { span, groups });
      const { traceId, spanId, traceFlags } = span.spanContext();
      header = `00-${traceId}-${spanId}-0${traceFlags & SAMPLED}`;
    });
    return [own, header].find((each) => each !== undefined && pattern.test(each));
  }

  groupEnded(requestId: string): void {
    const open = this.open.get(requestId);
    if (open === undefined || --open.groups > 0) return;
    this.end(requestId);
  }

  skipped(requestId: string, reason: string): void {
    this.guarded(() => this.open.get(requestId)?.span.setAttribute("lean.skip_reason", reason));
    this.end(requestId);
  }

  /** Ends every span. */
  close(): void {
    for (const requestId of [...this.open.keys()]) this.end(requestId);
  }

  private end(requestId: string): void {
    const open = this.open.get(requestId);
    this.open.delete(requestId);
    this.guarded(() => open?.span.end());
  }

  private guarded(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.report(error);
    }
  }
}
