/**
 * Limits on the size of requests, by method, and on the number of messages and fields in one. An empty
 * message or field takes two bytes on the wire and hundreds once decoded: a few megabytes of them
 * would block the service or exhaust its memory.
 */
import type { DescMessage, DescMethod } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { AdminService } from "../../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { AggregatorService } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { invalid, Refusal } from "../../errors.js";
import { limits } from "../../limits.js";
import type { ProverDescription } from "../../work/prover-description.js";
import type { SnapshotLimits } from "../../admission/snapshot-limits.js";

/** Path of a method's calls, such as `/lean.aggregator.v1.AggregatorService/GetSession`. */
export const methodPath = ({ parent, name }: DescMethod) => `/${parent.typeName}/${name}`;

const { method } = AggregatorService;
const limitByPath: Record<string, number> = {
  [methodPath(method.submitSnapshot)]: limits.snapshotBytesMax,
  [methodPath(method.verifyAggregate)]: limits.verifyBytesMax,
  ...Object.fromEntries(
    AdminService.methods.map((each) => [methodPath(each), limits.adminRequestBytesMax]),
  ),
};

/** Most bytes of a request to the method at `path`, without a frame's header. */
export function requestBytesMax(path: string, contentType = ""): number {
  const bytesMax = limitByPath[path] ?? limits.requestBytesMax;
  return isJson(contentType) ? Math.min(bytesMax, limits.jsonBytesMax) : bytesMax;
}

/** The limits on a snapshot: of the service's and the backend's, the lower. */
export function snapshotLimits(of: ProverDescription): SnapshotLimits {
  const { scheme, revision, publicKeyBytes, signatureBytes, anySize = false, messagesMax } = of;
  const proofBytesMax = Math.min(limits.proofBytesMax, of.proofBytesMax || Infinity);
  const sizes = { publicKeyBytes, signatureBytes, anySize };
  return { ...limits, proofBytesMax, scheme, revision, messagesMax, ...sizes };
}

export function isJson(contentType: string): boolean {
  return mediaTypeOf(contentType).endsWith("json");
}

/** A content type without its parameters, in lower case: HTTP ignores the case. */
export function mediaTypeOf(contentType: string): string {
  const [type = ""] = contentType.split(";");
  return type.trim().toLowerCase();
}

/**
 * Bytes to reserve for a call of whose request `receivedBytes` have arrived: those, rounded up to a
 * multiple of `limits.requestBytesMax`, and no more than was announced, if it was. Not all that a slow
 * request may grow to: with 24 MiB each, about twenty slow requests would fill the memory budget, and
 * every snapshot would be refused.
 */
export function bytesToHold(receivedBytes: number, announcedBytes = Infinity): number {
  const step = limits.requestBytesMax;
  const rounded = Math.max(1, Math.ceil(receivedBytes / step)) * step;
  return Math.max(limits.callBytes, Math.min(rounded, announcedBytes));
}

/** The refusal of a request that took too long to arrive. */
export function notReadInTime(): Refusal {
  return new Refusal("deadline_exceeded", "", "the request did not arrive in time");
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSING_BRACKET = 0x5d;
const BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;

/** Most values that one message of a request takes: itself and its fields. */
const VALUES_A_MESSAGE = 4;

/** Bytes of the smallest field: its tag and its length or value. */
const FIELD_BYTES_MIN = 2;

/**
 * Throws a `Refusal` when a binary request has more than `requestMessagesMax` messages, or more than four
 * times as many fields, known or not.
 */
export function checkBinaryCount(schema: DescMessage, bytes: Uint8Array): void {
  const { requestMessagesMax } = limits;
  if (bytes.length / FIELD_BYTES_MIN < requestMessagesMax) return;
  const left = { messages: requestMessagesMax, fields: requestMessagesMax * VALUES_A_MESSAGE };
  if (!isWithin(schema, bytes, left)) throw tooMany();
}

/** Most keys of an object in JSON: no message of a request has as many fields. */
const JSON_KEYS_MAX = 32;

/**
 * Like `checkBinaryCount` for JSON, which need not be well-formed: counts values by the characters
 * `,`, `[` and `{` outside of strings. Also throws when an object has more than 32 keys: `JSON.parse`
 * takes over a second for an object of 300,000.
 */
export function checkJsonCount(bytes: Uint8Array): void {
  let values = 0;
  /** The number of keys of each object and list that is open. */
  const keys: number[] = [];
  for (let at = 0; at < bytes.length; at++) {
    const char = bytes[at];
    if (char === QUOTE) at = endOfString(bytes, at);
    else if (char === COLON) {
      const count = (keys.pop() ?? 0) + 1;
      if (count > JSON_KEYS_MAX) {
        throw invalid("", `the request has an object with more than ${JSON_KEYS_MAX} keys`);
      }
      keys.push(count);
    } else if (char === CLOSING_BRACE || char === CLOSING_BRACKET) keys.pop();
    else if (char === COMMA || char === BRACKET || char === BRACE) {
      if (char !== COMMA) keys.push(0);
      if (++values > limits.requestMessagesMax * VALUES_A_MESSAGE) throw tooMany();
    }
  }
}

/** The index of the quote that ends the string begun at `start`; the length without such a one. */
function endOfString(bytes: Uint8Array, start: number): number {
  for (let end = bytes.indexOf(QUOTE, start + 1); end !== -1; end = bytes.indexOf(QUOTE, end + 1)) {
    let escapes = end;
    while (bytes[escapes - 1] === BACKSLASH) escapes--;
    if ((end - escapes) % 2 === 0) return end;
  }
  return bytes.length;
}

/**
 * Whether an encoded message has no more messages, itself included, and no more fields than are left.
 * Takes them from `left`. A group, which no message of ours has, may hide any number of fields.
 */
function isWithin(
  schema: DescMessage,
  bytes: Uint8Array,
  left: { messages: number; fields: number },
): boolean {
  if (--left.messages < 0) return false;
  const reader = new BinaryReader(bytes);
  try {
    while (reader.pos < reader.len) {
      const [number, wireType] = reader.tag();
      if (--left.fields < 0 || wireType === WireType.StartGroup) return false;
      const inner = schema.fields.find((field) => field.number === number)?.message;
      if (inner === undefined || wireType !== WireType.LengthDelimited) {
        reader.skip(wireType, number);
      } else if (!isWithin(inner, reader.bytes(), left)) return false;
    }
  } catch {
    // Malformed from here on: decoding stops at the same place and refuses the request.
  }
  return true;
}

function tooMany(): Refusal {
  const detail = `the request has more than ${limits.requestMessagesMax} entries`;
  return new Refusal("resource_exhausted", "", detail);
}
