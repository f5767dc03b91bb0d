/**
 * Reads a call's request before connect-es does. Refuses a request whose size, announced or actual,
 * exceeds the limit of its method, or that takes too long to arrive. A refusal leaves the
 * connection open, so that the caller can read the reason.
 */
import type { DescMessage, Message } from "@bufbuild/protobuf";
import { fromBinary } from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import type { Clock } from "../../clock.js";
import { invalid, Refusal } from "../../errors.js";
import { messageFromJson } from "../../json/json-message.js";
import { JsonError, parseJsonBytes } from "../../json/json-text.js";
import { overloaded } from "../../memory-budget.js";
import type { HttpRequest, HttpResponse } from "../../net/http-listener.js";
import { GatheredBody } from "./gathered-body.js";
import { checkBinaryCount, checkJsonCount, isJson, notReadInTime } from "./request-limits.js";

/** Flags and a length, which gRPC, gRPC-Web and Connect's streams put before each message. */
const FRAME_HEADER_BYTES = 5;
const COMPRESSED_FLAG = 1;

const EMPTY = new Uint8Array();
const EMPTY_JSON = new TextEncoder().encode("{}");
const EMPTY_FRAME = encodeEnvelope(0, EMPTY);
const EMPTY_JSON_FRAME = encodeEnvelope(0, EMPTY_JSON);

export interface ReadOptions {
  /** Media type of the request, without parameters, in lower case. */
  type: string;
  /** Most bytes of the message, without the frame's header. */
  bytesMax: number;
  /** Length of the body, if the headers announce it. */
  announcedBytes: number | undefined;
  /** Monotonic instant at which an incomplete request is refused. */
  lateAtMs: number;
  clock: Clock;
  /** Reserves memory for what has arrived, `bytes` in all; returns false when no memory is free. */
  hold(bytes: number): boolean;
}

/** Whether messages of this media type are framed: have flags and a length before them. */
const isFramed = (type: string) => /^application\/(grpc|connect\+)/.test(type);

/** Resolves with the whole body, frame header included. Rejects with a `Refusal`. */
export function readRequest(
  request: HttpRequest,
  response: HttpResponse,
  { type, bytesMax, announcedBytes = 0, lateAtMs, clock, hold }: ReadOptions,
): Promise<Buffer> {
  const hasFrame = isFramed(type);
  const framing = hasFrame ? FRAME_HEADER_BYTES : 0;
  if (announcedBytes - framing > bytesMax) return Promise.reject(tooLarge(bytesMax));
  return new Promise((resolve, reject) => {
    const body = new GatheredBody();
    /** The frame's header, as far as it has arrived. */
    const header = Buffer.alloc(framing);
    /** Length of the message, as the frame's header announces it; 0 until the header is whole. */
    let announced = 0;
    const settle = () => {
      cancelTimer();
      request.off("data", take).off("end", finish);
      response.off("close", leave);
    };
    const refuse = (refusal: Refusal) => {
      settle();
      request.pause();
      reject(refusal);
    };
    const take = (piece: Buffer) => {
      if (body.length < framing) {
        piece.copy(header, body.length);
        if (body.length + piece.length >= framing) announced = messageBytes(header);
      }
      body.add(piece);
      if (Math.max(body.length - framing, announced) > bytesMax) refuse(tooLarge(bytesMax));
      else if (!hold(body.heldBytes)) refuse(overloaded());
    };
    const finish = () => {
      settle();
      resolve(body.whole());
    };
    const leave = () => refuse(invalid("", "the caller left before its request was whole"));
    const cancelTimer = clock.at(lateAtMs, () => refuse(notReadInTime()));
    response.on("close", leave);
    request.on("data", take).on("end", finish);
  });
}

/**
 * Yields the body of a request that is a stream of messages. The HTTP/2 window and connect-es's
 * limit on a message bound its memory. A call without a first byte at `lateAtMs` is cut. Throws the
 * reason of `signal` once that aborts.
 */
export async function* streamRequest(
  request: HttpRequest,
  response: HttpResponse,
  { lateAtMs, clock, signal }: Pick<ReadOptions, "lateAtMs" | "clock"> & { signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const cancelTimer = clock.at(lateAtMs, () => response.destroy());
  // To destroy the stream here would drop the trailers. It is closed at the end of the answer.
  const pieces: AsyncIterator<Uint8Array> = request.iterator({ destroyOnReturn: false });
  try {
    for (;;) {
      const next = await unlessAborted(pieces.next(), signal);
      cancelTimer();
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    cancelTimer();
    // Not awaited: it ends once the piece that is awaited has come. Then the rest is discarded.
    void pieces.return?.().then(
      () => request.resume(),
      () => undefined,
    );
  }
}

/** Settles like `promise`, or rejects with the reason of `signal` when that aborts first. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason as Error);
    const settle = () => signal.removeEventListener("abort", stop);
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
    promise.then(resolve, reject).finally(settle);
  });
}

/** Decodes a whole body. Throws a `Refusal` when it is malformed or has too many messages. */
export function decodeRequest(schema: DescMessage, type: string, body: Buffer): Message {
  const message = isFramed(type) ? unframed(body) : body;
  return isJson(type) ? decodeJson(schema, message) : decodeBinary(schema, message);
}

/** The message in a body that `decodeRequest` has decoded; undefined when it is JSON. */
export function binaryMessage(type: string, body: Buffer): Uint8Array | undefined {
  if (isJson(type)) return undefined;
  return isFramed(type) ? body.subarray(FRAME_HEADER_BYTES) : body;
}

/** The body that connect-es decodes in place of one that `decodeRequest` has decoded already. */
export function emptyMessage(type: string): Uint8Array {
  if (isFramed(type)) return isJson(type) ? EMPTY_JSON_FRAME : EMPTY_FRAME;
  return isJson(type) ? EMPTY_JSON : EMPTY;
}

function decodeBinary(schema: DescMessage, message: Buffer): Message {
  checkBinaryCount(schema, message);
  try {
    // Decoded from a Buffer, bytes fields would be Buffers, whose `slice` does not copy: a field
    // that is kept would keep the whole request in memory, as would an unknown one.
    const bytes = new Uint8Array(message.buffer, message.byteOffset, message.byteLength);
    return fromBinary(schema, bytes, { readUnknownFields: false });
  } catch {
    throw invalid("", `the message is not a ${schema.typeName}`);
  }
}

function decodeJson(schema: DescMessage, message: Buffer): Message {
  checkJsonCount(message);
  try {
    return messageFromJson(schema, parseJsonBytes(message), "base64");
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw invalid(error.place, error.place === "" ? `the request ${error.detail}` : error.detail);
  }
}

/** The length of the message that a frame's header announces. */
const messageBytes = (header: Buffer) => header.readUInt32BE(1);

/**
 * The message in a frame. Throws a `Refusal` unless the body is one whole frame, uncompressed. gRPC's
 * status for a body of no frame, or of several, is UNIMPLEMENTED.
 */
function unframed(body: Buffer): Buffer {
  if (body.length === 0) throw wrongCount("no message");
  const hasHeader = body.length >= FRAME_HEADER_BYTES;
  const messageEnd = FRAME_HEADER_BYTES + (hasHeader ? messageBytes(body) : 0);
  if (body.length < messageEnd) throw invalid("", "the request is not one whole message");
  if (body.length > messageEnd) throw wrongCount("more than one message");
  const message = body.subarray(FRAME_HEADER_BYTES);
  const flags = body.readUInt8(0);
  if (flags === 0) return message;
  if (flags === COMPRESSED_FLAG) {
    throw new Refusal("unimplemented", "", "compressed requests are not supported: send identity");
  }
  throw invalid("", `the message has flags ${flags}, expected 0`);
}

function wrongCount(found: string): Refusal {
  return new Refusal("unimplemented", "", `the request has ${found}: send exactly one`);
}

function tooLarge(bytesMax: number): Refusal {
  return new Refusal("resource_exhausted", "", `the request is larger than ${bytesMax} bytes`);
}
