/**
 * Reads a request of the HTTP edge before connect does: held to its method's limit, by its length
 * as announced too, and to the time it may take. A refusal leaves the connection open, so that the
 * caller reads why.
 */
import type { DescMessage, DescMethod } from "@bufbuild/protobuf";
import { fromBinary, fromJsonString } from "@bufbuild/protobuf";
import type { Clock } from "../clock.js";
import { invalid, Refusal } from "../errors.js";
import type { EdgeRequest, EdgeResponse } from "./call-admission.js";
import { checkJsonCount, checkMessageCount } from "./count-messages.js";
import { CHUNK_BYTES, isJson, notReadInTime, overloaded } from "./request-limits.js";

/** gRPC, gRPC-Web and Connect's streams put a flag and the length before a message. */
const FRAME_HEADER_BYTES = 5;

export interface ReadOptions {
  method: DescMethod;
  /** Of the message, without framing. */
  bytesMax: number;
  /** Monotonic instant at which to stop waiting for the rest. */
  lateAtMs: number;
  clock: Clock;
  /** Reserves memory for all that has come so far; false when there is none. */
  hold(bytes: number): boolean;
}

/** The whole body, framing included, once it is one whole message that may be decoded. */
export async function readRequest(
  request: EdgeRequest,
  response: EdgeResponse,
  options: ReadOptions,
): Promise<Buffer> {
  const type = request.headers["content-type"] ?? "";
  const isFramed = /^application\/(grpc|connect\+)/.test(type);
  const body = await collect(request, response, isFramed, options);
  const message = isFramed ? unframed(body) : body;
  if (isJson(type)) checkJson(options.method.input, message);
  else checkMessage(options.method.input, message);
  return body;
}

/**
 * Connect calls a message that does not decode internal, which tells a caller nothing: here it is
 * tried first, at the price of decoding twice on this edge.
 */
function checkMessage(schema: DescMessage, message: Uint8Array): void {
  checkMessageCount(schema, message);
  try {
    fromBinary(schema, message);
  } catch {
    throw invalid("", `the message is not a ${schema.typeName}`);
  }
}

/**
 * Connect quotes what it cannot decode, and where it quotes half a surrogate pair it cannot encode
 * the status, and cuts the call without one: such JSON is tried first, as connect would read it.
 */
function checkJson(schema: DescMessage, message: Buffer): void {
  checkJsonCount(message);
  if (!message.includes("\\ud") && !message.includes("\\uD")) return;
  try {
    fromJsonString(schema, message.toString(), { ignoreUnknownFields: true });
  } catch {
    throw invalid("", `the message is not a ${schema.typeName}`);
  }
}

function collect(
  request: EdgeRequest,
  response: EdgeResponse,
  isFramed: boolean,
  { bytesMax, lateAtMs, clock, hold }: ReadOptions,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const framing = isFramed ? FRAME_HEADER_BYTES : 0;
    const chunks: Buffer[] = [];
    let bytes = 0;
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
    const take = (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      const announced = isFramed ? framedBytes(chunks, bytes) : 0;
      if (Math.max(bytes - framing, announced) > bytesMax) refuse(tooLarge(bytesMax));
      else if (!hold(bytes + chunks.length * CHUNK_BYTES)) refuse(overloaded());
    };
    const finish = () => {
      settle();
      resolve(Buffer.concat(chunks));
    };
    const leave = () => refuse(invalid("", "the caller left before its request was whole"));
    const cancelTimer = clock.at(lateAtMs, () => refuse(notReadInTime()));
    response.on("close", leave);
    request.on("data", take).on("end", finish);
  });
}

/** The length that a frame announces; 0 until its header is there. */
function framedBytes(chunks: Buffer[], bytes: number): number {
  if (bytes < FRAME_HEADER_BYTES) return 0;
  const [first = Buffer.alloc(0)] = chunks;
  const header = first.length < FRAME_HEADER_BYTES ? Buffer.concat(chunks) : first;
  return header.readUInt32BE(1);
}

function unframed(body: Buffer): Buffer {
  const message = body.subarray(FRAME_HEADER_BYTES);
  const isWhole = framedBytes([body], body.length) === message.length;
  if (!isWhole || body.length < FRAME_HEADER_BYTES) {
    throw invalid("", "the request is not one whole message");
  }
  return message;
}

function tooLarge(bytesMax: number): Refusal {
  return new Refusal("resource_exhausted", "", `the request is larger than ${bytesMax} bytes`);
}
