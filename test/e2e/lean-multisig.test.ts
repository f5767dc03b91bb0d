/** The whole service with the second real prover, which is optional: `make setup-multisig`. */
import { existsSync } from "node:fs";
import { createClient } from "@connectrpc/connect";
import type { Client } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
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

describe.runIf(existsSync("build/lean_multisig.json"))("lean_multisig alone", () => {
  const vectors = openVotes("test/vectors/multisig");
  let service: Service;
  let client: Client<typeof AggregatorService>;

  beforeAll(async () => {
    service = await startRealService({ cpu: "lean_multisig" });
    client = createClient(
      AggregatorService,
      createGrpcTransport({ baseUrl: `http://${service.addresses[0]}` }),
    );
  }, 90_000);
  afterAll(() => service.close());

  async function prove(group: GroupInit): Promise<Outcome> {
    const { result } = await client.submitSnapshot({
      node,
      snapshot: snapshot(100, [group], vectors.keyTable()),
      deadlineMs: 60_000,
      fenceMs: 100_000,
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
    data = vectors.dataOf(0),
  ): Promise<boolean> {
    const publicKeys = Array.from({ length: validators }, (_, at) => vectors.publicKey(at));
    return (await client.verifyAggregate({ node, data, proof, publicKeys })).valid;
  }

  test("a child and signatures, of which one of another slot and a tampered one are left out", async () => {
    const { status } = await client.getServerInfo({});
    expect(status?.offers.map(({ proofSystem }) => proofSystem?.revision)).toEqual([
      "py-lean-multisig-0.4.0",
    ]);
    const elsewhere = vectors.raw(1, 13);
    const spoilt = vectors.raw(0, 14);
    const outcome = await prove({
      data: vectors.dataOf(0),
      rawSignatures: [
        ...vectors.raws(0, 8, 12),
        elsewhere,
        { ...spoilt, signature: tampered(spoilt.signature) },
      ],
      children: [vectors.child(0)],
    });
    expect(outcome).toMatchObject({ status: OutcomeStatus.PROVED, fake: false });
    expect(outcome.leftOut.map(({ reason, input }) => [reason, input.value])).toEqual([
      [LeftOutReason.BAD_SIGNATURE, 13],
      [LeftOutReason.BAD_SIGNATURE, 14],
    ]);
    const { proof } = outcome;
    expect(await verifies(proof, 12)).toBe(true);
    expect(await verifies(proof, 11)).toBe(false);
    expect(await verifies(proof, 12, vectors.dataOf(1))).toBe(false);
    expect(await verifies(tampered(proof), 12)).toBe(false);
  });
});
