/** How long the demo's slots are, by what the service says that proofs take. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { paceOf } from "../../../cli/demo/pace.js";
import {
  DeviceSchema,
  LearnedCostSchema,
  ProofKind,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

const learned = (proveMsHigh: number, more = {}) =>
  create(LearnedCostSchema, { rawSignatures: 32, proveMsHigh, kind: ProofKind.AGGREGATE, ...more });
const devices = (...learnedCosts: ReturnType<typeof learned>[]) => [
  create(DeviceSchema, { id: "cpu", learnedCosts }),
];

test("slots are a network's where a slow proof of 32 votes ends by the fence of such a slot", () => {
  const pace = paceOf(devices(learned(6400)));
  expect(pace).toEqual({ slotMs: 4000, intervalMs: 800, factor: 1, slowMs: 6400 });
  expect(paceOf([])).toMatchObject({ slotMs: 4000, slowMs: undefined });
});

test("slots are whole seconds longer where it does not, up to half a minute", () => {
  expect(paceOf(devices(learned(20_089)))).toMatchObject({ slotMs: 13_000, factor: 3.25 });
  expect(paceOf(devices(learned(900_000)))).toMatchObject({ slotMs: 30_000, intervalMs: 6000 });
});

test("costs of children, merges and other sizes say nothing of it", () => {
  const child = learned(60_000, { children: 1 });
  const merge = learned(60_000, { kind: ProofKind.MERGE });
  const larger = learned(60_000, { rawSignatures: 64 });
  expect(paceOf(devices(child, merge, larger))).toMatchObject({ slotMs: 4000 });
});
