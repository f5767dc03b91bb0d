/** Spans as the request of the OpenTelemetry protocol (OTLP), by the files in `proto/opentelemetry`. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { create, toBinary } from "@bufbuild/protobuf";
import { ExportTraceServiceRequestSchema } from "../../proto/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import type { KeyValueSchema } from "../../proto/gen/opentelemetry/proto/common/v1/common_pb.js";
import type { SpanSchema } from "../../proto/gen/opentelemetry/proto/trace/v1/trace_pb.js";
import {
  Span_SpanKind as SpanKind,
  SpanFlags,
  Status_StatusCode as StatusCode,
} from "../../proto/gen/opentelemetry/proto/trace/v1/trace_pb.js";
import type { Attributes, Span } from "./span.js";

/** The service that the spans are of. */
export interface Resource {
  serviceId: string;
  version: string;
  /** Names this run of the service. */
  instance: string;
}

const SCOPE = "lean-aggregator";
const SAMPLED = 1;
/** The standard's instants are nanoseconds; the service's have no more than microseconds. */
const US_PER_MS = 1000;
const NS_PER_US = 1000n;

/** An `ExportTraceServiceRequest`, in binary. */
export function exportRequest(
  spans: readonly Span[],
  { serviceId, version, instance }: Resource,
): Uint8Array {
  const resource = {
    attributes: keyValues({
      "service.name": SCOPE,
      "service.instance.id": serviceId,
      "service.version": version,
      "lean.run": instance,
    }),
  };
  const scopeSpans = [{ scope: { name: SCOPE, version }, spans: spans.map(messageOf) }];
  const resourceSpans = [{ resource, scopeSpans }];
  const request = create(ExportTraceServiceRequestSchema, { resourceSpans });
  return toBinary(ExportTraceServiceRequestSchema, request);
}

function messageOf(span: Span): MessageInitShape<typeof SpanSchema> {
  const { name, parentSpanId, isParentRemote, status } = span;
  const remote = isParentRemote ? SpanFlags.CONTEXT_IS_REMOTE_MASK : 0;
  return {
    name,
    traceId: bytes(span.traceId),
    spanId: bytes(span.spanId),
    parentSpanId: bytes(parentSpanId),
    flags: SAMPLED | SpanFlags.CONTEXT_HAS_IS_REMOTE_MASK | remote,
    kind: name === "snapshot" ? SpanKind.SERVER : SpanKind.INTERNAL,
    startTimeUnixNano: nanoseconds(span.startUnixMs),
    endTimeUnixNano: nanoseconds(span.endUnixMs),
    attributes: keyValues(span.attributes),
    status: statusOf(status),
  };
}

function statusOf(status: Span["status"]) {
  if (status === "unset") return { code: StatusCode.UNSET };
  if (status === "ok") return { code: StatusCode.OK };
  return { code: StatusCode.ERROR, message: status.error };
}

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));
const nanoseconds = (ms: number) => BigInt(Math.round(ms * US_PER_MS)) * NS_PER_US;

function keyValues(attributes: Attributes): MessageInitShape<typeof KeyValueSchema>[] {
  return Object.entries(attributes).map(([key, value]) => ({
    key,
    value: { value: anyOf(value) },
  }));
}

function anyOf(value: string | number) {
  if (typeof value === "string") return { case: "stringValue", value } as const;
  if (Number.isSafeInteger(value)) return { case: "intValue", value: BigInt(value) } as const;
  return { case: "doubleValue", value } as const;
}
