/** Binary requests of many small parts: what they cost once decoded is bounded by what they have. */
import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  SubmitSnapshotRequestSchema,
  VerifyAggregateRequestSchema,
} from "../../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../../server/limits.js";
import { decodeRequest } from "../../../../server/rpc/call/read-request.js";

const TYPE = "application/proto";
const times = (count: number, bytes: readonly number[]) =>
  Buffer.concat(Array.from({ length: count }, () => Uint8Array.from(bytes)));
const { requestMessagesMax } = limits;
const many = requestMessagesMax + 1;
const ENTRIES = `the request has more than ${requestMessagesMax} entries`;
const FIELDS = "the request has a message with more than 32 fields";

test.each([
  ["unknown fields", times(many, [0x78, 0x01]), FIELDS],
  ["one known field again and again", times(many, [0x22, 0x00]), FIELDS],
  ["a group of fields", Buffer.concat([times(1, [0x7b]), times(many, [0x78, 1])]), "has a group"],
  ["empty groups of a snapshot", snapshotOf(many, [0x2a, 0x00]), ENTRIES],
])("too many are refused before they are decoded: %s", (_, body, why) => {
  expect(() => decodeRequest(SubmitSnapshotRequestSchema, TYPE, body)).toThrow(why);
});

test("too many keys are refused before they are decoded", () => {
  const body = times(many, [0x22, 0x00]);
  expect(() => decodeRequest(VerifyAggregateRequestSchema, TYPE, body)).toThrow(ENTRIES);
});

test("all that a request may have is decoded", () => {
  const keys = Array.from({ length: requestMessagesMax - 1 }, () => new Uint8Array(1));
  const request = create(VerifyAggregateRequestSchema, { publicKeys: keys });
  const body = Buffer.from(toBinary(VerifyAggregateRequestSchema, request));
  const decoded = decodeRequest(VerifyAggregateRequestSchema, TYPE, body);
  expect(decoded).toMatchObject({ publicKeys: { length: keys.length } });
});

test("unknown fields are not kept", () => {
  const request = create(SubmitSnapshotRequestSchema, { requestId: "a" });
  const bytes = toBinary(SubmitSnapshotRequestSchema, request);
  const body = Buffer.concat([bytes, times(1000, [0x78, 0x01])]);
  expect(decodeRequest(SubmitSnapshotRequestSchema, TYPE, body)).toEqual(request);
});

/** A request with a snapshot of so many parts of these bytes. */
function snapshotOf(count: number, part: readonly number[]): Buffer {
  const snapshot = times(count, part);
  const length: number[] = [];
  for (let rest = snapshot.length; ; rest >>>= 7) {
    length.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
    if (rest <= 0x7f) break;
  }
  return Buffer.concat([Uint8Array.from([0x12, ...length]), snapshot]);
}
