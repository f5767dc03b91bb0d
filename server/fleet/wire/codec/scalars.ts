/** The kinds of single values in the fleet's messages, each with its check. */
import type { BinaryWriter } from "@bufbuild/protobuf/wire";
import { limits } from "../../../limits.js";
import { printable } from "../../../printable.js";
import { tokenPattern } from "../subjects.js";
import type { Kind } from "./fields.js";
import { garbled } from "./fleet-message-error.js";
import { WIRE } from "./wire-reader.js";

const U32_MAX = 0xffff_ffff;
/** A character of UTF-8 takes at most so many bytes for each unit of UTF-16. */
const UTF8_BYTES_MAX = 3;
/** The first half of a character of two, which was cut. */
const HALF_AT_END = /[\ud800-\udbff]$/;

/** A whole number from `min` to `max`; at most 53 bits of a `uint64`. */
export function whole(min = 0, max = Number.MAX_SAFE_INTEGER): Kind<number> {
  const checked = (value: number) =>
    value >= min && value <= max
      ? value
      : garbled(`is ${value}, expected a whole number from ${min} to ${max}`);
  return {
    wireType: WIRE.varint,
    read: (reader) => checked(reader.varint()),
    write: writeVarint,
    absent: () => checked(0),
    isAbsent: (value) => value === 0,
  };
}

function writeVarint(writer: BinaryWriter, value: number): void {
  if (value <= U32_MAX) writer.uint32(value);
  else writer.uint64(value);
}

export const u32 = (min = 0, max = U32_MAX) => whole(min, max);

/** A number from `min` to `max`, not infinite. */
export function real(min: number, max: number): Kind<number> {
  const checked = (value: number) =>
    value >= min && value <= max
      ? value
      : garbled(`is ${value}, expected a number from ${min} to ${max}`);
  return {
    wireType: WIRE.fixed64,
    read: (reader) => checked(reader.double()),
    write: (writer, value) => void writer.double(value),
    absent: () => checked(0),
    isAbsent: (value) => Object.is(value, 0),
  };
}

/** An instant of the peer's clock, in milliseconds. */
export const instant = real(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
/** How long ago, in milliseconds. */
export const age = real(0, Number.MAX_SAFE_INTEGER);
/** A time left, or the time that something took, in milliseconds. */
export const duration = real(0, limits.fleetDurationMsMax);

export const bool: Kind<boolean> = {
  wireType: WIRE.varint,
  read: (reader) => reader.varint() !== 0,
  write: (writer, value) => void writer.bool(value),
  absent: () => false,
  isAbsent: (value) => !value,
};

/** A text that the pattern, which takes ASCII alone, matches. */
function matching(pattern: RegExp, expected: string): Kind<string> {
  const checked = (value: string) =>
    pattern.test(value) ? value : garbled(value === "" ? "is missing" : `is not ${expected}`);
  return {
    wireType: WIRE.bytes,
    read: (reader) => checked(reader.latin()),
    write: (writer, value) => void writer.string(value),
    absent: () => checked(""),
    isAbsent: (value) => value === "",
  };
}

export const peerId = matching(tokenPattern, "a token");
export const run = matching(/^[0-9a-f]{16}$/, "16 hexadecimal digits");
export const runOrNone = matching(/^([0-9a-f]{16})?$/, "16 hexadecimal digits");
export const digest = matching(/^[0-9a-f]{64}$/, "64 hexadecimal digits");
export const device = matching(/^[a-z0-9-]{1,32}$/, "the name of a device");
const { proverNameLengthMax, proverErrorLengthMax } = limits;
export const name = matching(
  new RegExp(`^[\\x20-\\x7e]{0,${proverNameLengthMax}}$`),
  `at most ${proverNameLengthMax} characters of printable ASCII`,
);
/** Scheme and revision of a proof system, separated by a space; or nothing. */
export const systemOrNone = matching(/^[ -~]{0,513}$/, "the name of a proof system");

/** A text for people: the start of a long one, without characters that act in a terminal. */
export const text: Kind<string> = {
  wireType: WIRE.bytes,
  read: (reader) => {
    const start = reader.text(proverErrorLengthMax * UTF8_BYTES_MAX);
    return printable(start.slice(0, proverErrorLengthMax)).replace(HALF_AT_END, "");
  },
  write: (writer, value) => void writer.string(value),
  absent: () => "",
  isAbsent: (value) => value === "",
};

/** Bytes, copied: the message's own may be of a buffer that is used again. */
export function bytes(min: number, max: number): Kind<Uint8Array> {
  const checked = (length: number) => {
    if (length >= min && length <= max) return;
    garbled(`has ${length} bytes, expected ${min === max ? min : `${min} to ${max}`}`);
  };
  return {
    wireType: WIRE.bytes,
    read: (reader) => {
      const view = reader.bytes();
      checked(view.length);
      return new Uint8Array(view);
    },
    write: (writer, value) => void writer.bytes(value),
    absent: () => {
      checked(0);
      return new Uint8Array();
    },
    isAbsent: (value) => value.length === 0,
  };
}

/** A SHA-256: 32 bytes on the wire, here 64 hexadecimal digits. */
export const sha256Hex: Kind<string> = {
  wireType: WIRE.bytes,
  read: (reader) => {
    const hex = reader.hex();
    return hex.length === 64 ? hex : garbled(`has ${hex.length / 2} bytes, expected 32`);
  },
  write: (writer, value) => void writer.bytes(new Uint8Array(Buffer.from(value, "hex"))),
  absent: () => garbled("is missing"),
  isAbsent: () => false,
};

/** An `enum`, of which 0 is no value; `values` are those from 1 on. */
export function oneFrom<T extends string>(values: readonly T[]): Kind<T> {
  const unknown = (number: number) => garbled(`is ${number}, expected 1 to ${values.length}`);
  return {
    wireType: WIRE.varint,
    read: (reader) => {
      const number = reader.varint();
      return values[number - 1] ?? unknown(number);
    },
    write: (writer, value) => void writer.uint32(values.indexOf(value) + 1),
    absent: () => garbled("is missing"),
    isAbsent: () => false,
  };
}
