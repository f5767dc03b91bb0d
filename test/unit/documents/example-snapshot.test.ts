/** `examples/snapshot.json` has real signatures, so that every prover takes it. */
import { readFileSync } from "node:fs";
import { create, fromJsonString, toJson } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { SubmitSnapshotRequestSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  dataOf,
  groupsOfSlot,
  keyTable,
  raws,
  rootOf,
  snapshot,
} from "../../../tools/harness/vectors.js";

test("the example snapshot has four of the committed signatures of slot 100", () => {
  const text = readFileSync("examples/snapshot.json", "utf8");
  const [group = -1] = groupsOfSlot(100);
  const votes = { data: dataOf(group), message: rootOf(group), rawSignatures: raws(group, 0, 4) };
  const expected = create(SubmitSnapshotRequestSchema, {
    node: { nodeId: "node-1" },
    snapshot: snapshot(100, [votes], keyTable(4)),
  });
  const request = fromJsonString(SubmitSnapshotRequestSchema, text);
  const inJson = toJson(SubmitSnapshotRequestSchema, request);
  expect(inJson).toEqual(toJson(SubmitSnapshotRequestSchema, expected));
});
