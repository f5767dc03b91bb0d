/**
 * Maps a protobuf-es service to a grpc-js service definition: one codec for both RPC stacks, no
 * second code generator. Used by the server's data plane and by the client.
 */
import type { ServiceDefinition } from "@grpc/grpc-js";
import type { DescMessage, DescService } from "@bufbuild/protobuf";
import { fromBinary, toBinary } from "@bufbuild/protobuf";

type AnyMessage = Parameters<typeof toBinary>[1];

function codec(schema: DescMessage) {
  return {
    serialize: (message: AnyMessage) => Buffer.from(toBinary(schema, message)),
    deserialize: (bytes: Buffer) => fromBinary(schema, bytes),
  };
}

/** The grpc-js form of a protobuf-es service, methods keyed by their `localName`. */
export function grpcServiceDefinition(service: DescService): ServiceDefinition {
  const entries = service.methods.map((method) => {
    const request = codec(method.input);
    const response = codec(method.output);
    return [
      method.localName,
      {
        path: `/${service.typeName}/${method.name}`,
        requestStream:
          method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
        responseStream:
          method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
        requestSerialize: request.serialize,
        requestDeserialize: request.deserialize,
        responseSerialize: response.serialize,
        responseDeserialize: response.deserialize,
      },
    ] as const;
  });
  return Object.fromEntries(entries);
}
