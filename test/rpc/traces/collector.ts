/** A collector of OTLP over HTTP for tests: decodes what it gets by the published protobuf files. */
import { fromBinary } from "@bufbuild/protobuf";
import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { ExportTraceServiceRequestSchema } from "../../../proto/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import type { ExportTraceServiceRequest } from "../../../proto/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import type { AnyValue } from "../../../proto/gen/opentelemetry/proto/common/v1/common_pb.js";

export interface TestCollector {
  url: string;
  /** Requests so far, in order. */
  requests: { path: string; headers: IncomingHttpHeaders; message: ExportTraceServiceRequest }[];
  /** How it answers; status 200 with an empty message until it is set. */
  answer: (response: ServerResponse) => void;
  close(): Promise<void>;
}

export async function startCollector(): Promise<TestCollector> {
  const collector: Pick<TestCollector, "requests" | "answer"> = {
    requests: [],
    answer: (response) => void response.writeHead(200).end(),
  };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const message = fromBinary(ExportTraceServiceRequestSchema, Buffer.concat(chunks));
      const { url: path = "", headers } = request;
      collector.requests.push({ path, headers, message });
      collector.answer(response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(collector, {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

/** All spans so far. */
export const spansIn = ({ requests }: TestCollector) =>
  requests
    .flatMap(({ message }) => message.resourceSpans)
    .flatMap(({ scopeSpans }) => scopeSpans)
    .flatMap(({ spans }) => spans)
    .map((span) => ({
      name: span.name,
      kind: span.kind,
      flags: span.flags,
      traceId: hex(span.traceId),
      spanId: hex(span.spanId),
      parentSpanId: hex(span.parentSpanId),
      startMs: Number(span.startTimeUnixNano) / 1e6,
      endMs: Number(span.endTimeUnixNano) / 1e6,
      status: span.status,
      attributes: valuesOf(span.attributes),
    }));

export const valuesOf = (attributes: readonly { key: string; value?: AnyValue }[]) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, value?.value.value]));
