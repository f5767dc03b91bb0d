/** The request that real clients submit, as proto JSON in a file. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { create, toJsonString } from "@bufbuild/protobuf";
import { SubmitSnapshotRequestSchema } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { fakeSignature } from "../../server/prover/fake/fake.js";
import { temporaryFolder } from "./temporary-folder.js";
import {
  dataOf,
  groupsOfSlot,
  keyTable,
  publicKey,
  rootOf,
  snapshot,
} from "../../tools/harness/vectors.js";

const SLOT = 100;

/** A SubmitSnapshot request of one group that validators 0 and 1 signed; no deadline of its own. */
export function submitSnapshotJson(nodeId: string): string {
  const [group] = groupsOfSlot(SLOT);
  if (group === undefined) throw new Error(`vectors have no group of slot ${SLOT}`);
  const rawSignatures = [0, 1].map((validatorIndex) => ({
    validatorIndex,
    signature: fakeSignature(publicKey(validatorIndex), rootOf(group), SLOT),
  }));
  const request = create(SubmitSnapshotRequestSchema, {
    node: { nodeId, nodeEpoch: 1n },
    snapshot: snapshot(SLOT, [{ data: dataOf(group), rawSignatures }], keyTable()),
  });
  return toJsonString(SubmitSnapshotRequestSchema, request);
}

/** What proto JSON says of validators 0 and 1 as participants. */
export const PARTICIPANTS_BASE64 = "Aw==";

/** Writes the text to a file of a fresh folder; returns its path. */
export function jsonFile(text: string): string {
  const path = join(temporaryFolder(), "request.json");
  writeFileSync(path, text);
  return path;
}
