/**
 * Changes to an encoded message along its fields, lengths kept right: what a blind change of bytes
 * all but never leaves decodable. Sends what no encoder writes, too: another wire type, fields that
 * nobody knows, varints longer than they need be.
 */
import type { DescMessage } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Random } from "../../sim/random.js";
import { mutateBytes } from "./mutate-bytes.js";

interface Field {
  number: number;
  wireType: WireType;
  /** A message's fields, or the value as it lies on the wire, without its length. */
  value: Field[] | Uint8Array;
}

const VARINTS = [
  "0",
  "1",
  "127",
  "128",
  "4096",
  "4294967295",
  "4294967296",
  "18446744073709551615",
];
const LENGTHS = [0, 1, 31, 32, 33, 64, 65, 512, 2404];
const REPEATS_MAX = 40;

export function protobufMutator(schema: DescMessage) {
  return (input: Uint8Array, random: Random): Uint8Array => {
    const fields = parse(schema, input);
    if (fields === undefined || fields.length === 0) return mutateBytes(input, random);
    for (let count = random.whole(1, 3); count > 0; count--)
      change(pickList(fields, random), random);
    return encode(fields);
  };
}

function parse(schema: DescMessage, bytes: Uint8Array): Field[] | undefined {
  const reader = new BinaryReader(bytes);
  const fields: Field[] = [];
  try {
    while (reader.pos < reader.len) {
      const [number, wireType] = reader.tag();
      const start = reader.pos;
      reader.skip(wireType, number);
      fields.push({ number, wireType, value: bytes.slice(start, reader.pos) });
    }
  } catch {
    return undefined;
  }
  return fields.map((field) => descend(schema, field));
}

function descend(schema: DescMessage, { number, wireType, value }: Field): Field {
  if (wireType !== WireType.LengthDelimited || !(value instanceof Uint8Array)) {
    return { number, wireType, value };
  }
  const payload = new BinaryReader(value).bytes();
  const inner = schema.fields.find((field) => field.number === number)?.message;
  const fields = inner === undefined ? undefined : parse(inner, payload);
  return { number, wireType, value: fields ?? payload };
}

function encode(fields: readonly Field[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const { number, wireType, value } of fields) {
    writer.tag(number, wireType);
    if (!(value instanceof Uint8Array)) writer.bytes(encode(value));
    else if (wireType === WireType.LengthDelimited) writer.bytes(value);
    else writer.raw(value);
  }
  return writer.finish();
}

/** A list of fields at any depth. */
function pickList(fields: Field[], random: Random): Field[] {
  const inner = fields.flatMap(({ value }) => (value instanceof Uint8Array ? [] : [value]));
  if (inner.length === 0 || random.chance(0.3)) return fields;
  return pickList(random.pick(inner), random);
}

function change(fields: Field[], random: Random): void {
  const at = random.whole(0, Math.max(0, fields.length - 1));
  const field = fields[at];
  const roll = random.whole(0, 9);
  if (field === undefined || roll === 0) fields.push(invented(random));
  else if (roll === 1) fields.splice(at, 1);
  else if (roll === 2) repeat(fields, field, random);
  else if (roll === 3) fields.push(...fields.splice(at, 1));
  else if (roll === 4) field.number = random.whole(1, 12);
  else if (roll === 5) field.wireType = random.pick([0, 1, 2, 3, 5]) as WireType;
  else field.value = changed(field, random);
}

function repeat(fields: Field[], field: Field, random: Random): void {
  const times = random.chance(0.2) ? random.whole(2, REPEATS_MAX) : 1;
  for (let count = 0; count < times; count++) fields.push(structuredClone(field));
}

function invented(random: Random): Field {
  const value = varint(random);
  return { number: random.whole(1, 2000), wireType: WireType.Varint, value };
}

function changed({ wireType, value }: Field, random: Random): Field["value"] {
  if (!(value instanceof Uint8Array)) return random.chance(0.5) ? [] : encode(value);
  if (wireType === WireType.Varint) return varint(random);
  if (wireType !== WireType.LengthDelimited || random.chance(0.5))
    return mutateBytes(value, random);
  return new Uint8Array(random.pick(LENGTHS)).fill(random.whole(0, 255));
}

function varint(random: Random): Uint8Array {
  if (random.chance(0.1)) return Uint8Array.from([0x80, 0x80, 0x80, 0x80, 0x80, 0x00]); // overlong 0
  if (random.chance(0.3)) return new BinaryWriter().uint32(random.whole(0, 200)).finish();
  return new BinaryWriter().uint64(random.pick(VARINTS)).finish();
}
