/**
 * Maps a protobuf-es service to a grpc-js service definition, so that grpc-js needs no generated
 * code of its own. Used by `lean-aggregator health` and by tests.
 */
import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";
import type { DescMessage, DescMethod, DescService, MessageShape } from "@bufbuild/protobuf";
import { fromBinary, toBinary } from "@bufbuild/protobuf";

function codec<M extends DescMessage>(schema: M) {
  return {
    serialize: (message: MessageShape<M>) => Buffer.from(toBinary(schema, message)),
    deserialize: (bytes: Buffer) => fromBinary(schema, bytes),
  };
}

/** The grpc-js form of one method. */
export function grpcMethodDefinition<I extends DescMessage, O extends DescMessage>(
  method: DescMethod & { input: I; output: O },
): MethodDefinition<MessageShape<I>, MessageShape<O>> {
  const request = codec(method.input);
  const response = codec(method.output);
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream:
      method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
    responseStream:
      method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    requestSerialize: request.serialize,
    requestDeserialize: request.deserialize,
    responseSerialize: response.serialize,
    responseDeserialize: response.deserialize,
  };
}

/** The grpc-js form of a protobuf-es service, methods keyed by their `localName`. */
export function grpcServiceDefinition(service: DescService): ServiceDefinition {
  const entries = service.methods.map((method) => [method.localName, grpcMethodDefinition(method)]);
  return Object.fromEntries(entries) as ServiceDefinition;
}
