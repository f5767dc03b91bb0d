/** The bytes of a request, on the cases that every language holds. */
import { readFileSync } from "node:fs";
import { create, fromBinary, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { encodeRequest, withBudgets } from "../../../client/adapter/request-encoding.js";
import { SubmitSnapshotRequestSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { contentOf } from "../../../server/admission/content-digest.js";

interface Case {
  name: string;
  request: JsonValue;
  frozen: string;
  tries: {
    deadlineMs: number;
    fenceMs: number;
    steps: { untilMs: number; weight: number }[];
    appended: string;
  }[];
}

const path = new URL("../../vectors/requests/frozen.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(path, "utf8")) as { cases: Case[] };
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

it.each(cases)("freezes $name once, and appends what is left at each try", (one) => {
  const request = fromJson(SubmitSnapshotRequestSchema, one.request);
  const frozen = encodeRequest(request);
  expect(hex(frozen.buffer.subarray(0, frozen.length))).toBe(one.frozen);
  for (const { appended, ...budgets } of one.tries) {
    const bytes = withBudgets(frozen, budgets);
    expect(hex(bytes)).toBe(one.frozen + appended);
    const sent = fromBinary(SubmitSnapshotRequestSchema, new Uint8Array(bytes));
    expect(sent).toMatchObject({ requestId: request.requestId, snapshot: request.snapshot });
    expect(sent.steps.length).toBe(budgets.steps.length);
  }
});

it("makes each try the same request for the service, however many steps have passed", () => {
  const node = { nodeId: "n", nodeEpoch: 1n };
  const frozen = encodeRequest(create(SubmitSnapshotRequestSchema, { node, requestId: "r" }));
  const digests = [0, 900, 2000, 9000].map((passedMs) => {
    const left = (ms: number) => ms - passedMs;
    const steps = [800, 1600, 6400].map((ms, at) => ({ untilMs: left(ms), weight: 4 >> at }));
    const sent = withBudgets(frozen, { deadlineMs: left(750), fenceMs: left(6400), steps });
    return contentOf(fromBinary(SubmitSnapshotRequestSchema, new Uint8Array(sent))).digest;
  });
  expect(new Set(digests).size).toBe(1);
});
