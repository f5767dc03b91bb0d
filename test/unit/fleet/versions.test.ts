/** A door and a lane host one version apart understand each other; two apart do not, and say so. */
import type { DescMessage } from "@bufbuild/protobuf";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import {
  FromHostSchema,
  ToDoorSchema,
  ToHostSchema,
} from "../../../proto/gen/lean/fleet/v1/fleet_pb.js";
import {
  decodeFromHost,
  decodeToDoor,
  decodeToHost,
  encodeFromHost,
  encodeToDoor,
  encodeToHost,
  UnknownKindError,
} from "../../../server/fleet/wire/codec.js";
import * as examples from "../../../tools/harness/wire/fleet-messages.js";
import { refusal } from "./refusal.js";

/** The same message of another version: field 1, which is first. */
const asVersion = (version: number, bytes: Uint8Array) =>
  new Uint8Array([8, version, ...bytes.subarray(2)]);

/** The message with fields that nobody knows yet, one of each wire type. */
function extended(schema: DescMessage, bytes: Uint8Array): Uint8Array {
  const varintAndFixed64 = [0xf8, 0x01, 0x96, 0x01, 0xf9, 0x01, 1, 2, 3, 4, 5, 6, 7, 8];
  const bytesAndFixed32 = [0xfa, 0x01, 2, 9, 9, 0xfd, 0x01, 1, 2, 3, 4];
  const more = new Uint8Array([...bytes, ...varintAndFixed64, ...bytesAndFixed32]);
  expect(fromBinary(schema, more).$unknown).toHaveLength(4);
  return more;
}

const runs = { run: examples.hostRun, hostRun: examples.hostRun, doorRun: examples.doorRun };

/** A message that says nothing but who sends it, to whom, and a field that nobody knows yet. */
const ofLaterKind = (version: number, schema: DescMessage) =>
  extended(schema, toBinary(schema, create(schema, { version, ...runs })));

describe.each([
  ["FromHost", FromHostSchema, examples.fromHost.map(encodeFromHost), decodeFromHost],
  ["ToHost", ToHostSchema, examples.toHost.map(encodeToHost), decodeToHost],
  ["ToDoor", ToDoorSchema, examples.toDoor.map(encodeToDoor), decodeToDoor],
] as const)("%s", (_, schema, messages, decode) => {
  test("of the next version is read, without the fields that it has added", () => {
    for (const bytes of messages) {
      expect(decode(extended(schema, asVersion(2, bytes)))).toEqual(decode(bytes));
    }
  });

  test("of two versions later is refused, and the version named", () => {
    for (const bytes of messages) {
      const error = refusal(() => decode(asVersion(3, bytes)));
      expect([error.field, error.otherVersion]).toEqual(["version", 3]);
    }
  });

  test("of the next version and a later kind is no fault of its sender", () => {
    expect(refusal(() => decode(ofLaterKind(2, schema)))).toBeInstanceOf(UnknownKindError);
    expect(refusal(() => decode(ofLaterKind(1, schema)))).not.toBeInstanceOf(UnknownKindError);
  });
});
