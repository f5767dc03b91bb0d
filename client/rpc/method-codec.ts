/** Gives a method's path, encodes its requests and decodes its responses, for both clients. */
import type { DescMethod, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { AggregatorError } from "../errors.js";

/** The path of the method in an HTTP/2 request. */
export function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/**
 * Encodes a request. Throws `AggregatorError` of kind `invalid_argument` for a value that its field
 * cannot hold; grpc-js would report such a value as INTERNAL.
 */
export function encodeRequest<M extends DescMethod>(
  method: M,
  request: MessageInitShape<M["input"]>,
): Buffer {
  try {
    return asBuffer(toBinary(method.input, create(method.input, request)));
  } catch (cause) {
    throw new AggregatorError("invalid_argument", `${method.name}: the request cannot be encoded`, {
      cause,
    });
  }
}

/** Returns a function that decodes the method's response. */
export function responseDecoder<M extends DescMethod>(
  method: M,
): (bytes: Buffer) => MessageShape<M["output"]> {
  // Decoded from a Buffer, bytes fields would be Buffers too, whose `slice` does not copy.
  return ({ buffer, byteOffset, byteLength }) =>
    fromBinary<M["output"]>(method.output, new Uint8Array(buffer, byteOffset, byteLength));
}

/** Returns a `Buffer` on the same memory, without a copy. */
export function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
