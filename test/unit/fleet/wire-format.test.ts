/** The tables of the codec are those of `fleet.proto`: what one writes the other reads, each field. */
import type { DescMessage, Message } from "@bufbuild/protobuf";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { describe, expect, test } from "vitest";
import {
  ChunkSchema,
  file_lean_fleet_v1_fleet,
  FromHostSchema,
  ToDoorSchema,
  ToHostSchema,
  VerdictSchema,
  WorkSchema,
} from "../../../proto/gen/lean/fleet/v1/fleet_pb.js";
import {
  decodeChunk,
  decodeFromHost,
  decodeToDoor,
  decodeToHost,
  decodeVerdict,
  decodeWork,
  encodeChunk,
  encodeFromHost,
  encodeToDoor,
  encodeToHost,
  encodeVerdict,
  encodeWork,
} from "../../../server/fleet/wire/codec.js";
import * as examples from "../../../tools/harness/wire/fleet-messages.js";

interface Case {
  name: string;
  schema: DescMessage;
  bytes: Uint8Array;
  value: unknown;
  decode(bytes: Uint8Array): unknown;
}

const { description, fromHost, toDoor, toHost, verdicts } = examples;
const { merge, mergeDigest, work, workDigest } = examples;
const someBytes = new Uint8Array(1000).fill(5);

function cases<Value>(
  schema: DescMessage,
  values: readonly Value[],
  encode: (value: Value) => Uint8Array,
  decode: (bytes: Uint8Array) => unknown,
): Case[] {
  return values.map((value, at) => {
    return { name: `${schema.name} ${at}`, schema, value, bytes: encode(value), decode };
  });
}

const all: Case[] = [
  ...cases(FromHostSchema, fromHost, encodeFromHost, decodeFromHost),
  ...cases(ToHostSchema, toHost, encodeToHost, decodeToHost),
  ...cases(ToDoorSchema, toDoor, encodeToDoor, decodeToDoor),
  ...cases(VerdictSchema, verdicts, encodeVerdict, decodeVerdict),
  ...cases(ChunkSchema, [someBytes, new Uint8Array()], encodeChunk, decodeChunk),
  ...cases(WorkSchema, [work], encodeWork, (bytes) => decodeWork(bytes, workDigest, description)),
  ...cases(WorkSchema, [merge], encodeWork, (bytes) => decodeWork(bytes, mergeDigest, description)),
];

describe.each(all)("$name", ({ schema, bytes, value, decode }) => {
  test("comes out as it went in", () => {
    expect(decode(bytes)).toEqual(value);
  });

  test("comes out the same after protobuf-es has read and written it", () => {
    const read = fromBinary(schema, bytes);
    expect(unknownFields(schema, read)).toEqual([]);
    expect(decode(toBinary(schema, read))).toEqual(value);
  });
});

test("every field of fleet.proto is in one of them", () => {
  const seen = new Set<string>();
  for (const { schema, bytes } of all) note(schema, fromBinary(schema, bytes), seen);
  const fields = file_lean_fleet_v1_fleet.messages.flatMap((message) =>
    message.fields.map((field) => `${message.name}.${field.name}`),
  );
  expect(fields.filter((field) => !seen.has(field))).toEqual([]);
});

/** Adds the fields that are set, at any depth, as `Message.field`. */
function note(schema: DescMessage, message: Message, seen: Set<string>): void {
  const reflected = reflect(schema, message);
  for (const field of schema.fields) {
    if (!reflected.isSet(field)) continue;
    seen.add(`${schema.name}.${field.name}`);
    for (const [inner, each] of innerOf(schema, message, field.localName)) note(inner, each, seen);
  }
}

function unknownFields(schema: DescMessage, message: Message): number[] {
  const own = (message.$unknown ?? []).map(({ no }) => no);
  const inner = schema.fields.flatMap(({ localName }) =>
    innerOf(schema, message, localName).flatMap(([desc, each]) => unknownFields(desc, each)),
  );
  return [...own, ...inner];
}

/** The messages in a field, with their descriptors. */
function innerOf(schema: DescMessage, message: Message, name: string): [DescMessage, Message][] {
  const field = schema.fields.find(({ localName }) => localName === name);
  if (field === undefined) return [];
  const reflected = reflect(schema, message);
  if (!reflected.isSet(field)) return [];
  if (field.fieldKind === "message") {
    return [[field.message, reflected.get(field).message]];
  }
  if (field.fieldKind !== "list" || field.listKind !== "message") return [];
  return [...reflected.get(field)].map((each) => [field.message, messageOf(each)]);
}

function messageOf(value: unknown): Message {
  if (typeof value === "object" && value !== null && "message" in value) {
    return value.message as Message;
  }
  throw new Error("a list of messages has another entry");
}
