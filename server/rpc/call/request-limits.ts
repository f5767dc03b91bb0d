/**
 * Limits on the size of requests, by method, and on the number of messages, list entries and fields in
 * one. An empty one takes two bytes on the wire and hundreds once decoded: a few megabytes of them would
 * block the service or exhaust its memory.
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

/** Bytes of the smallest entry of a list: its tag and its length or value. */
const ENTRY_BYTES_MIN = 2;

/**
 * Throws a `Refusal` when a binary request has more than `requestMessagesMax` messages and list entries,
 * or a message with more than 32 fields besides its lists, known or not.
 */
export function checkBinaryCount(schema: DescMessage, bytes: Uint8Array): void {
  const entries = limits.requestMessagesMax;
  if (bytes.length / ENTRY_BYTES_MIN >= entries) takeEntries(schema, bytes, { entries });
}

/** Most JSON values that one message of a request takes: itself and its fields. */
const JSON_VALUES_A_MESSAGE = 4;

/** Most fields of a message, and keys of an object in JSON: no message of a request has as many. */
const FIELDS_MAX = 32;

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
      if (count > FIELDS_MAX) {
        throw invalid("", `the request has an object with more than ${FIELDS_MAX} keys`);
      }
      keys.push(count);
    } else if (char === CLOSING_BRACE || char === CLOSING_BRACKET) keys.pop();
    else if (char === COMMA || char === BRACKET || char === BRACE) {
      if (char !== COMMA) keys.push(0);
      if (++values > limits.requestMessagesMax * JSON_VALUES_A_MESSAGE) throw tooMany();
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

/** Takes an encoded message and its list entries from what is left. A group may hide any number of fields. */
function takeEntries(schema: DescMessage, bytes: Uint8Array, left: { entries: number }): void {
  if (--left.entries < 0) throw tooMany();
  const reader = new BinaryReader(bytes);
  let fields = 0;
  try {
    while (reader.pos < reader.len) {
      const [number, wireType] = reader.tag();
      const field = schema.fields.find((each) => each.number === number);
      if (wireType === WireType.StartGroup) throw invalid("", "the request has a group");
      if (field?.fieldKind !== "list" && ++fields > FIELDS_MAX) {
        throw invalid("", `the request has a message with more than ${FIELDS_MAX} fields`);
      }
      if (field?.message !== undefined && wireType === WireType.LengthDelimited) {
        takeEntries(field.message, reader.bytes(), left);
      } else {
        if (field?.fieldKind === "list" && --left.entries < 0) throw tooMany();
        reader.skip(wireType, number);
      }
    }
  } catch (error) {
    // Malformed from here on: decoding stops at the same place and refuses the request.
    if (error instanceof Refusal) throw error;
  }
}

function tooMany(): Refusal {
  const detail = `the request has more than ${limits.requestMessagesMax} entries`;
  return new Refusal("resource_exhausted", "", detail);
}
