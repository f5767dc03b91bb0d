/**
 * How much a request decodes to, told from its bytes alone: an empty message takes two bytes on the
 * wire and hundreds decoded, so that a few megabytes of them would stall the service or end it.
 */
import type { DescMessage } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { Refusal } from "../errors.js";
import { limits } from "../limits.js";

/** In JSON an entry with its fields takes up to four values. */
const JSON_VALUES_A_MESSAGE = 4;

/** Refuses an encoded message that decodes to more messages than the service takes. */
export function checkMessageCount(schema: DescMessage, bytes: Uint8Array): void {
  if (countMessages(schema, bytes, limits.requestMessagesMax) > limits.requestMessagesMax) {
    throw tooMany();
  }
}

/** The same of JSON, by the characters that begin a value or go between two. */
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
