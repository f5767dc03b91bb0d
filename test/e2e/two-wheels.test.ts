/**
 * Two proof systems in one service, each with a real prover of its own. The second is optional: `make
 * setup-multisig` sets it up, and without it these tests are skipped.
 */
import { existsSync } from "node:fs";
import { createClient } from "@connectrpc/connect";
import type { Client } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  AggregatorService,
  LeftOutReason,
  OutcomeStatus,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Outcome } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Service } from "../../server/service.js";
import { openVotes } from "../../cli/example/votes.js";
import { snapshot, tampered } from "../../tools/harness/vectors.js";
import type { GroupInit } from "../../tools/harness/vectors.js";
import { startRealService } from "../helpers/start-service.js";

const node = { nodeId: "e2e", nodeEpoch: 1n };
const OLDER = { scheme: "leanmultisig", revision: "py-lean-multisig-0.4.0" };
const NEWER = { scheme: "leanxmss", revision: "py-lean-pq-0.7.0" };

describe.runIf(existsSync("build/lean_multisig.json"))("lean_pq and lean_multisig at once", () => {
  const older = openVotes("test/vectors/multisig");
  const newer = openVotes("test/vectors/xmss");
  let service: Service;
  let client: Client<typeof AggregatorService>;

  beforeAll(async () => {
    service = await startRealService({ newer: "lean_pq", older: "lean_multisig" });
    client = createClient(
      AggregatorService,
      createGrpcTransport({ baseUrl: `http://${service.addresses[0]}` }),
    );
    const bothOffered = async () =>
      expect((await client.getServerInfo({})).status?.offers).toHaveLength(2);
    await vi.waitFor(bothOffered, { timeout: 80_000, interval: 200 });
  }, 100_000);
  afterAll(() => service.close());

  /** @param system none: the default */
  async function prove(group: GroupInit, votes = newer, system?: typeof OLDER): Promise<Outcome> {
    const { result } = await client.submitSnapshot({
      node,
      snapshot: snapshot(100, [group], votes.keyTable()),
      deadlineMs: 60_000,
      fenceMs: 100_000,
      ...(system === undefined ? {} : { proofSystem: system }),
    });
    if (result.case !== "accepted") throw new Error(result.value?.detail ?? "no answer");
    const { requestId } = result.value;
    for (;;) {
      const { session } = await client.getSession({ node, requestId, waitMs: 60_000 });
      const [outcome] = session?.outcomes ?? [];
      if (outcome !== undefined) return outcome;
    }
  }

  async function verifies(
    proof: Uint8Array,
    validators: number,
    proofSystem: typeof OLDER,
    { votes = older, group = 0 } = {},
  ): Promise<boolean> {
    const publicKeys = Array.from({ length: validators }, (_, at) => votes.publicKey(at));
    const data = votes.dataOf(group);
    return (await client.verifyAggregate({ node, data, proof, publicKeys, proofSystem })).valid;
  }

  const leftOut = (outcome: Outcome) =>
    outcome.leftOut.map(({ reason, input }) => [reason, input.value]);

  test("the older one takes a child and signatures; one of another slot and a tampered one are left out", async () => {
    const elsewhere = older.raw(1, 13);
    const spoilt = older.raw(0, 14);
    const group = {
      data: older.dataOf(0),
      rawSignatures: [
        ...older.raws(0, 8, 12),
        elsewhere,
        { ...spoilt, signature: tampered(spoilt.signature) },
      ],
      children: [older.child(0)],
    };
    const outcome = await prove(group, older, OLDER);
    expect(outcome).toMatchObject({
      status: OutcomeStatus.PROVED,
      fake: false,
      proofSystem: OLDER,
    });
    expect(leftOut(outcome)).toEqual([
      [LeftOutReason.BAD_SIGNATURE, 13],
      [LeftOutReason.BAD_SIGNATURE, 14],
    ]);
    const { proof } = outcome;
    expect(await verifies(proof, 12, OLDER)).toBe(true);
    expect(await verifies(proof, 11, OLDER)).toBe(false);
    expect(await verifies(proof, 12, OLDER, { group: 1 })).toBe(false);
    expect(await verifies(tampered(proof), 12, OLDER)).toBe(false);
    expect(await verifies(proof, 12, NEWER)).toBe(false);
  });

  test("a request without a name gets the first device's, which takes no child of the other", async () => {
    const group = {
      data: newer.dataOf(0),
      rawSignatures: newer.raws(0, 0, 4),
      children: [older.child(0)],
    };
    const outcome = await prove(group);
    expect(outcome).toMatchObject({ status: OutcomeStatus.PROVED, proofSystem: NEWER });
    expect(outcome.leftOut.map(({ input }) => input)).toEqual([{ case: "childIndex", value: 0 }]);
    expect(await verifies(outcome.proof, 4, NEWER, { votes: newer })).toBe(true);
    expect(await verifies(outcome.proof, 4, OLDER, { votes: newer })).toBe(false);
  });
});
