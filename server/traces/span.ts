/** A finished span: one step of a snapshot's way through the service. */

export const spanNames = [
  "snapshot",
  "accept",
  "group",
  "wait",
  "verify_inputs",
  "prove",
  "verify_proof",
  "deliver",
] as const;
export type SpanName = (typeof spanNames)[number];

export type Attributes = Readonly<Record<string, string | number>>;

export interface Span {
  name: SpanName;
  traceId: string;
  spanId: string;
  /** Empty for the first span of a trace. */
  parentSpanId: string;
  /** True where the parent is a span of the caller. */
  isParentRemote: boolean;
  startUnixMs: number;
  endUnixMs: number;
  attributes: Attributes;
  /** `unset` where the step neither succeeded nor failed, as when the node cancelled it. */
  status: "ok" | "unset" | { error: string };
}
