/** The flat encoder against protobuf-es's own, over generated requests. */
import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { expect, it } from "vitest";
import { createFlatEncoder } from "../../../client/adapter/flat-encoder.js";
import {
  StreamResultsResponseSchema,
  SubmitSnapshotRequestSchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

type Request = MessageInitShape<typeof SubmitSnapshotRequestSchema>;

const encode = createFlatEncoder(SubmitSnapshotRequestSchema);

function flat(request: Request): Uint8Array {
  const { buffer, length } = encode(request);
  expect(buffer).toHaveLength(length);
  return new Uint8Array(buffer);
}

const uint32 = fc.oneof(fc.constantFrom(0, 127, 128, 2 ** 32 - 1), fc.nat());
const uint64 = fc.oneof(
  fc.constantFrom(0n, 127n, 128n, 2n ** 64n - 1n),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);
const bytes = fc.uint8Array({ maxLength: 300 });
/** Any field may be left out. */
const some = <T extends object>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(fields, { requiredKeys: [] });
const list = <T>(item: fc.Arbitrary<T>) => fc.array(item, { maxLength: 4 });

const checkpoint = some({ root: bytes, slot: uint64 });
const data = some({ slot: uint64, head: checkpoint, target: checkpoint, source: checkpoint });
const signatures = list(some({ validatorIndex: uint32, signature: bytes }));
const either = <C extends string, T>(name: C, value: fc.Arbitrary<T>) =>
  fc.record({ case: fc.constant(name), value });
const component = some({
  claim: some({
    signed: fc.oneof(either("data", data), either("root", some({ root: bytes, slot: uint64 }))),
    participants: bytes,
    role: fc.constantFrom(0, 1, 2),
  }),
  from: fc.oneof(either("proof", bytes), either("raws", some({ signatures }))),
});
const group = some({
  data,
  message: bytes,
  rawSignatures: signatures,
  children: list(some({ participants: bytes, proof: bytes })),
  kind: fc.constantFrom(0, 1, 2),
  components: list(component),
});
const request = some({
  node: some({ nodeId: fc.string({ unit: "grapheme" }), nodeEpoch: uint64 }),
  snapshot: some({
    slot: uint64,
    head: checkpoint,
    keys: list(some({ validatorIndex: uint32, publicKey: bytes })),
    groups: list(group),
    sszBitlists: fc.boolean(),
  }),
  proofSystem: some({ scheme: fc.string(), logInvRate: uint32 }),
  requestId: fc.string(),
  deadlineMs: uint32,
  fenceMs: uint32,
  priority: fc.constantFrom(0, 2),
  minInputs: uint32,
  steps: list(some({ untilMs: uint32, weight: uint32 })),
});

it("gives the bytes of toBinary, for plain objects and for messages", () => {
  fc.assert(
    fc.property(request, (init) => {
      const message = create(SubmitSnapshotRequestSchema, init);
      const expected = toBinary(SubmitSnapshotRequestSchema, message);
      expect(flat(init)).toEqual(expected);
      expect(flat(message)).toEqual(expected);
    }),
  );
});

it("leaves room behind the message, so that later fields can be joined to it", () => {
  const first = encode({ requestId: "r1" }, 12);
  const second = encode({ deadlineMs: 750, fenceMs: 0 });
  expect(first.buffer).toHaveLength(first.length + 12);
  const size = second.buffer.copy(first.buffer, first.length);
  const joined = new Uint8Array(first.buffer.subarray(0, first.length + size));
  const read = fromBinary(SubmitSnapshotRequestSchema, joined);
  expect(read).toMatchObject({ requestId: "r1", deadlineMs: 750, fenceMs: 0 });
});

it.each<[string, unknown]>([
  ["a negative index", { snapshot: { keys: [{ validatorIndex: -1 }] } }],
  ["an index above 32 bits", { snapshot: { keys: [{ validatorIndex: 2 ** 32 }] } }],
  ["a fraction", { deadlineMs: 0.5 }],
  ["a slot that is a number", { snapshot: { slot: 5 } }],
  ["a slot above 64 bits", { snapshot: { slot: 2n ** 64n } }],
  ["bytes that are text", { snapshot: { head: { root: "00" } } }],
  ["text that is bytes", { requestId: new Uint8Array(1) }],
  ["an object for a list", { snapshot: { groups: {} } }],
  ["a hole in a list", { snapshot: { groups: [undefined] } }],
  ["a number for a message", { snapshot: 7 }],
])("refuses %s", (_name, value) => {
  expect(() => encode(value as Request)).toThrow(TypeError);
});

it("refuses a schema that it cannot encode in full", () => {
  expect(() => createFlatEncoder(StreamResultsResponseSchema)).toThrow(TypeError);
  expect(() => createFlatEncoder(TimestampSchema)).toThrow(TypeError);
});
