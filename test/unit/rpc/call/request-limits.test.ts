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
const fieldsMax = 4 * requestMessagesMax;

test.each([
  ["unknown fields", times(fieldsMax + 1, [0x78, 0x01])],
  ["one known field again and again", times(fieldsMax + 1, [0x22, 0x00])],
  ["a group of many fields", Buffer.concat([times(1, [0x7b]), times(fieldsMax, [0x78, 1])])],
  ["empty groups of a snapshot", snapshotOf(requestMessagesMax, [0x2a, 0x00])],
])("%s are refused before they are decoded", (_, body) => {
  expect(() => decodeRequest(SubmitSnapshotRequestSchema, TYPE, body)).toThrow(
    `the request has more than ${requestMessagesMax} entries`,
  );
});

test("empty keys are refused before they are decoded", () => {
  const body = times(fieldsMax + 1, [0x22, 0x00]);
  expect(() => decodeRequest(VerifyAggregateRequestSchema, TYPE, body)).toThrow("entries");
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
