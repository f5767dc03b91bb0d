/**
 * How large requests may be, by method, and how many messages they may decode to: an empty message
 * takes two bytes on the wire and hundreds once decoded, so that a few megabytes of them would stall
 * the service or end it.
 */
import type { DescMessage, DescMethod } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { AdminService } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { AggregatorService } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { Refusal } from "../errors.js";
import { limits } from "../limits.js";
import type { ProverDescription } from "../work/prover-description.js";
import type { SnapshotLimits } from "../admission/decode-snapshot.js";

export const methodPath = ({ parent, name }: DescMethod) => `/${parent.typeName}/${name}`;

const { method } = AggregatorService;
const limitByPath: Record<string, number> = {
  [methodPath(method.submitSnapshot)]: limits.snapshotBytesMax,
  [methodPath(method.verifyAggregate)]: limits.verifyBytesMax,
  ...Object.fromEntries(
    AdminService.methods.map((each) => [methodPath(each), limits.adminRequestBytesMax]),
  ),
};

/** Bytes of one request message, without framing. */
export function requestBytesMax(path: string, contentType = ""): number {
  const bytesMax = limitByPath[path] ?? limits.requestBytesMax;
  return isJson(contentType) ? Math.min(bytesMax, limits.jsonBytesMax) : bytesMax;
}

/** The service's own limits, and the backend's, where it has some. */
export function snapshotLimits(of: ProverDescription): SnapshotLimits {
  const { publicKeyBytes, signatureBytes } = of;
  const childrenMax = Math.min(limits.childrenMax, of.childrenMax || Infinity);
  const proofBytesMax = Math.min(limits.proofBytesMax, of.proofBytesMax || Infinity);
  return { ...limits, childrenMax, proofBytesMax, publicKeyBytes, signatureBytes };
}

export function isJson(contentType: string): boolean {
  return mediaTypeOf(contentType).endsWith("json");
}

/** A content type without its parameters, in lower case: HTTP makes no difference of case. */
export function mediaTypeOf(contentType: string): string {
  const [type = ""] = contentType.split(";");
  return type.trim().toLowerCase();
}

/** Memory that one piece of a request takes besides its bytes, however few those are. */
export const CHUNK_BYTES = 256;

/**
 * The share of a request of which so many bytes are there: in steps of the smallest. A request that
 * trickles in holds no more than it has sent; reserved for all that it may become, twenty of them
 * would keep every snapshot out.
 */
export function bytesToHold(receivedBytes: number): number {
  const step = limits.requestBytesMax;
  return Math.max(1, Math.ceil(receivedBytes / step)) * step;
}

/** For a request that took too long to arrive. */
export function notReadInTime(): Refusal {
  return new Refusal("deadline_exceeded", "", "the request did not arrive in time");
}

/** In JSON an entry with its fields takes up to four values. */
const JSON_VALUES_A_MESSAGE = 4;

/** Bytes of the smallest nested message: its tag and its length. */
const MESSAGE_BYTES_MIN = 2;

/** Refuses an encoded message that decodes to more messages than the service takes. */
export function checkMessageCount(schema: DescMessage, bytes: Uint8Array): void {
  if (bytes.length / MESSAGE_BYTES_MIN < limits.requestMessagesMax) return;
  if (countMessages(schema, bytes, limits.requestMessagesMax) > limits.requestMessagesMax) {
    throw tooMany();
  }
}

/** The same for JSON, by the characters that begin a value or go between two. */
export function checkJsonCount(bytes: Uint8Array): void {
  let values = 0;
  for (const byte of bytes) if (byte === 0x2c || byte === 0x5b || byte === 0x7b) values++;
  if (values > limits.requestMessagesMax * JSON_VALUES_A_MESSAGE) throw tooMany();
}

/** Messages in an encoded message, itself included; stops past the bound. */
function countMessages(schema: DescMessage, bytes: Uint8Array, bound: number): number {
  const reader = new BinaryReader(bytes);
  let count = 1;
  try {
    while (reader.pos < reader.len && count <= bound) {
      const [number, wireType] = reader.tag();
      const inner = schema.fields.find((field) => field.number === number)?.message;
      if (inner === undefined || wireType !== WireType.LengthDelimited) {
        reader.skip(wireType, number);
      } else count += countMessages(inner, reader.bytes(), bound - count);
    }
  } catch {
    // Malformed from here on: decoding stops there too, and refuses it.
  }
  return count;
}

function tooMany(): Refusal {
  const detail = `the request has more than ${limits.requestMessagesMax} entries`;
  return new Refusal("resource_exhausted", "", detail);
}
