/** What an accepted session makes the service hold, beyond its own bytes, counts as held. */
import { createHash } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { limits } from "../../../server/limits.js";
import type { Service } from "../../../server/service.js";
import {
  clientOver,
  Gate,
  inventedData,
  inventedGroup,
} from "../../../tools/harness/wire/contract.js";
import { startTestService } from "../../helpers/start-service.js";
import { bits, keyTable, snapshot } from "../../../tools/harness/vectors.js";
import type { GroupInit } from "../../../tools/harness/vectors.js";

const gate = new Gate();
let service: Service;
beforeEach(async () => {
  service = await startTestService(gate.startProver);
});
afterEach(async () => {
  gate.open();
  await service.close();
});

/** What a snapshot holds while it waits behind another's proof. */
async function heldBy(groups: GroupInit[], keys = keyTable(1)) {
  const client = clientOver(service, "gRPC");
  const heldBytes = async () => (await service.metrics.heldBytes.get()).values[0]?.value ?? NaN;
  const submit = async (nodeId: string, of: ReturnType<typeof snapshot>) => {
    const { result } = await client.submitSnapshot({
      node: { nodeId },
      snapshot: of,
      deadlineMs: 60_000,
      fenceMs: 60_000,
    });
    expect(result.case).toBe("accepted");
  };
  gate.shut();
  await submit("first", snapshot(100, [inventedGroup(999)]));
  const before = await heldBytes();
  await submit("second", snapshot(100, groups, keys));
  return (await heldBytes()) - before;
}

test("the keys that children claim count for each child", async () => {
  const VALIDATORS = limits.validatorsMax;
  const CHILDREN = 16;
  const all = Array.from({ length: VALIDATORS }, (_, validatorIndex) => validatorIndex);
  const keys = all.map((validatorIndex) => ({
    validatorIndex,
    publicKey: createHash("sha256").update(String(validatorIndex)).digest(),
  }));
  const children = Array.from({ length: CHILDREN }, (_, at) => ({
    participants: bits(all),
    proof: Uint8Array.of(at),
  }));
  const held = await heldBy([{ data: inventedData(0), children }], keys);
  expect(held).toBeGreaterThan(limits.proofBytesMax + CHILDREN * VALIDATORS * 32);
});

test("a group over the limit has no room for a proof", async () => {
  const over = 100;
  const groups = Array.from({ length: limits.groupsMax + over }, (_, n) => inventedGroup(n, [0]));
  const { groupsMax, groupBytes, outcomeBytes, proofBytesMax } = limits;
  const objectBytes = groups.length * (groupBytes + outcomeBytes);
  expect(await heldBy(groups)).toBeLessThan((groupsMax + 1) * proofBytesMax + objectBytes);
});
