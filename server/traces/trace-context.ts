/**
 * The W3C trace context that a caller sends in the header `traceparent`: which trace its call belongs to,
 * and which of its spans the call is a part of. An invalid header is ignored, as the standard asks for:
 * https://www.w3.org/TR/trace-context/
 */

export interface TraceContext {
  /** 32 hexadecimal digits, not all 0. */
  traceId: string;
  /** 16 hexadecimal digits, not all 0. */
  spanId: string;
  /** Whether the caller keeps the trace. */
  isSampled: boolean;
}

/** Version, trace id, parent id and flags; versions after 00 may have more parts. */
const pattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.{0,256})?$/;
const SAMPLED = 1;

/** The context in this header; undefined without a header or for an invalid one. */
export function readTraceparent(header: string | undefined): TraceContext | undefined {
  const [, version, traceId = "", spanId = "", flags = "", rest] = pattern.exec(header ?? "") ?? [];
  const isInvalid =
    version === undefined ||
    version === "ff" ||
    (version === "00" && rest !== undefined) ||
    /^0*$/.test(traceId) ||
    /^0*$/.test(spanId);
  if (isInvalid) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & SAMPLED) !== 0 };
}

/** The context as a header of version 00. */
export function writeTraceparent({ traceId, spanId, isSampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-0${isSampled ? SAMPLED : 0}`;
}
