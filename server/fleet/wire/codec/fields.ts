/**
 * Describes messages of protobuf by tables: what each field is called, its number, and the kind of its
 * value. One table reads and writes. `wire-format.test.ts` holds the tables against `fleet.proto`.
 */
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { FleetMessageError, garbled, inField } from "./fleet-message-error.js";
import { WIRE, WireReader } from "./wire-reader.js";

/** A kind of value, with its checks, which throw by `garbled`. */
export interface Kind<T> {
  readonly wireType: number;
  read(reader: WireReader): T;
  /** Writes the value without its tag. */
  write(writer: BinaryWriter, value: T): void;
  /** The value of a field that is not there. Throws when it has to be there. */
  absent(): T;
  /** Whether a field with this value is left away. */
  isAbsent(value: T): boolean;
}

/** A field of a message. Number 0: it is not on the wire. */
export interface Field<T> {
  readonly number: number;
  readonly wireType: number;
  /** @param before what an earlier field of this number in the same message has given */
  read(reader: WireReader, before: T | undefined): T;
  absent(): T;
  write(writer: BinaryWriter, value: T): void;
}

export function field<T>(number: number, kind: Kind<T>): Field<T> {
  return {
    number,
    wireType: kind.wireType,
    read: (reader, before) => (before === undefined ? kind.read(reader) : twice()),
    absent: () => kind.absent(),
    write: (writer, value) => {
      if (!kind.isAbsent(value)) kind.write(writer.tag(number, kind.wireType), value);
    },
  };
}

/** A field that is undefined when it is not there. */
export function optional<T>(number: number, kind: Kind<T>): Field<T | undefined> {
  return {
    number,
    wireType: kind.wireType,
    read: (reader, before) => (before === undefined ? kind.read(reader) : twice()),
    absent: () => undefined,
    write: (writer, value) => {
      if (value !== undefined) kind.write(writer.tag(number, kind.wireType), value);
    },
  };
}

/** At most `max` messages. */
export function list<T>(number: number, kind: Kind<T>, max: number): Field<readonly T[]> {
  const growing: Field<T[]> = {
    number,
    wireType: kind.wireType,
    read: (reader, items = []) => {
      if (items.length >= max) tooMany(max);
      items.push(kind.read(reader));
      return items;
    },
    absent: () => [],
    write: (writer, items) => {
      for (const item of items) kind.write(writer.tag(number, kind.wireType), item);
    },
  };
  return growing;
}

/** At most `max` numbers, in one piece. */
export function packed(number: number, kind: Kind<number>, max: number): Field<readonly number[]> {
  const readAll = (reader: WireReader): number[] => {
    const values: number[] = [];
    while (!reader.isAtEnd) {
      if (values.length >= max) tooMany(max);
      values.push(kind.read(reader));
    }
    return values;
  };
  return {
    number,
    wireType: WIRE.bytes,
    read: (reader, before) => (before === undefined ? reader.within(readAll) : twice()),
    absent: () => [],
    write: (writer, values) => {
      if (values.length === 0) return;
      writer.tag(number, WIRE.bytes).fork();
      for (const value of values) kind.write(writer, value);
      writer.join();
    },
  };
}

/** A value that only the table has: it tells one message from another. */
export function literal<T extends string>(value: T): Field<T> {
  return { number: 0, wireType: WIRE.bytes, read: twice, absent: () => value, write: () => {} };
}

const twice = (): never => garbled("is there twice");
const tooMany = (max: number): never => garbled(`has more than ${max} entries`);

/** A message; the two functions read and write its fields without its length. */
export interface MessageKind<T> extends Kind<T> {
  readFields(reader: WireReader): T;
  writeFields(writer: BinaryWriter, value: T): void;
}

type Fields<T> = { readonly [Name in keyof T]: Field<T[Name]> };

/** A message with these fields, which are required unless they have an absent value. */
export function message<T extends object>(fields: Fields<T>): MessageKind<T> {
  type Name = keyof T & string;
  const rows: { readonly name: Name; readonly field: Field<T[Name]> }[] = [];
  for (const name in fields) rows.push({ name, field: fields[name] });
  const places: (number | undefined)[] = [];
  rows.forEach(({ field: { number } }, at) => (places[number] = at));
  places[0] = undefined;

  const readFields = (reader: WireReader): T => {
    const values: (T[Name] | undefined)[] = rows.map(() => undefined);
    const out: Partial<T> = {};
    let name = "";
    try {
      while (!reader.isAtEnd) {
        name = "";
        const tag = reader.varint();
        const wireType = tag & 7;
        const at = places[Math.floor(tag / 8)];
        const row = at === undefined ? undefined : rows[at];
        if (at === undefined || row === undefined) {
          reader.skip(wireType);
          continue;
        }
        name = row.name;
        if (wireType !== row.field.wireType) garbled(`has wire type ${wireType}`);
        values[at] = row.field.read(reader, values[at]);
      }
      for (const [at, row] of rows.entries()) {
        name = row.name;
        out[row.name] = values[at] ?? row.field.absent();
      }
    } catch (error) {
      if (!(error instanceof FleetMessageError) || name === "") throw error;
      throw inField(nameInProto(name), error);
    }
    return out as T; // every name of `fields` has got its value
  };
  return messageKind(readFields, (writer, value) => {
    for (const { name, field } of rows) field.write(writer, value[name]);
  });
}

/** The message as another type: `read` checks what concerns several fields, by `garbled`. */
export function mapped<T, Wire>(
  kind: MessageKind<Wire>,
  read: (wire: Wire) => T,
  write: (value: T) => Wire,
): MessageKind<T> {
  return messageKind(
    (reader) => read(kind.readFields(reader)),
    (writer, value) => kind.writeFields(writer, write(value)),
  );
}

function messageKind<T>(
  readFields: (reader: WireReader) => T,
  writeFields: (writer: BinaryWriter, value: T) => void,
): MessageKind<T> {
  return {
    wireType: WIRE.bytes,
    read: (reader) => reader.within(readFields),
    write: (writer, value) => {
      writeFields(writer.fork(), value);
      writer.join();
    },
    absent: () => garbled("is missing"),
    isAbsent: () => false,
    readFields,
    writeFields,
  };
}

const nameInProto = (name: string) =>
  name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** Of the members of a `oneof`, the one that is there. Throws unless that is exactly one. */
export function only<T>(members: readonly (T | undefined)[]): T {
  const there = members.filter((member): member is T => member !== undefined);
  const [first] = there;
  if (first === undefined) return garbled("is of no kind that is known");
  if (there.length > 1) garbled("is of several kinds");
  return first;
}

export function encode<T>(kind: MessageKind<T>, value: T): Uint8Array {
  const writer = new BinaryWriter();
  kind.writeFields(writer, value);
  return writer.finish();
}

/** Throws `FleetMessageError`; also for more than `bytesMax` bytes. */
export function decode<T>(kind: MessageKind<T>, bytes: Uint8Array, bytesMax: number): T {
  if (bytes.length > bytesMax) garbled(`has ${bytes.length} bytes, at most ${bytesMax}`);
  return kind.readFields(new WireReader(bytes));
}
