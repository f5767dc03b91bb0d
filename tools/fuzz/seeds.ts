/** Well-formed requests that targets start from, made of the committed vectors. */
import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import { create, toBinary } from "@bufbuild/protobuf";
import { SubmitSnapshotRequestSchema } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { encodeSszBitlist } from "../../proto/bitlist.js";
import { fakeSnapshot } from "../harness/fake-snapshots.js";
import {
  keysOfBothRoles,
  mergeOf,
  proofComponent,
  rawsComponent,
  rootComponent,
} from "../harness/merges.js";
import * as vectors from "../harness/vectors.js";

export const node = { nodeId: "fuzz", nodeEpoch: 1n };

export function encoded<Schema extends DescMessage>(
  schema: Schema,
  init: MessageInitShape<Schema>,
) {
  return toBinary(schema, create(schema, init));
}

const few = vectors.keyTable(4);

/** What goes well, and what goes wrong in its content only. */
export const snapshots: vectors.SnapshotInit[] = [
  Object.assign(fakeSnapshot(2), { keys: few }),
  Object.assign(fakeSnapshot(1, 1), { keys: few }),
  vectors.snapshot(100, [{ data: vectors.dataOf(0) }], []),
  vectors.snapshot(
    100,
    [
      {
        data: vectors.dataOf(0),
        message: vectors.rootOf(0),
        rawSignatures: [
          { validatorIndex: 1, signature: new Uint8Array(64) },
          { validatorIndex: 1, signature: new Uint8Array(64) },
          { validatorIndex: 77, signature: new Uint8Array(64) },
          { validatorIndex: 2, signature: new Uint8Array(63) },
        ],
        children: [
          { participants: Uint8Array.of(3), proof: new Uint8Array(100) },
          { participants: Uint8Array.of(0xff), proof: new Uint8Array(10) },
          { participants: new Uint8Array(), proof: new Uint8Array() },
        ],
        kind: 1,
      },
    ],
    few,
  ),
  {
    ...vectors.snapshot(
      100,
      [
        {
          data: vectors.dataOf(0),
          children: [{ participants: encodeSszBitlist([0, 2], 4), proof: new Uint8Array(100) }],
        },
      ],
      few,
    ),
    sszBitlists: true,
  },
  vectors.snapshot(
    100,
    [
      mergeOf(rawsComponent(0), proofComponent(1, new Uint8Array(100), [0, 2]), rootComponent(100)),
      mergeOf(rawsComponent(0, [1, 40]), proofComponent(2, new Uint8Array())),
    ],
    keysOfBothRoles(),
  ),
];

export function submitRequests(): Uint8Array[] {
  return snapshots.map((snapshot, at) =>
    encoded(SubmitSnapshotRequestSchema, {
      node,
      snapshot,
      requestId: at === 0 ? "again" : "",
      proofSystem: at === 1 ? { scheme: "fake", revision: "fake-1" } : {},
      priority: at % 4,
      busyPolicy: at % 3,
      minInputs: at,
      steps:
        at === 2
          ? [
              { untilMs: 800, weight: 10 },
              { untilMs: 4000, weight: 1 },
            ]
          : [],
      deadlineMs: 700,
      fenceMs: 6000,
    }),
  );
}
