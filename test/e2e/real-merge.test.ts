/** A block's proof by the whole service with the real prover: merged, checked, refused, and made again. */
import { createClient } from "@connectrpc/connect";
import type { Client } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  AggregatorService,
  LeftOutReason,
  OutcomeStatus,
  ProofKind,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Outcome } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Service } from "../../server/service.js";
import {
  keysOfBothRoles,
  proofClaim,
  proofComponent,
  proposerClaim,
  proposerComponent,
} from "../../tools/harness/real-components.js";
import type { ComponentInit } from "../../tools/harness/real-components.js";
import { child, publicKey, snapshot, tampered } from "../../tools/harness/vectors.js";
import { proverPid, startRealService } from "../helpers/start-service.js";

const node = { nodeId: "e2e", nodeEpoch: 1n };
const SLOT = 107;
let service: Service;
let client: Client<typeof AggregatorService>;

beforeAll(async () => {
  service = await startRealService();
  client = createClient(
    AggregatorService,
    createGrpcTransport({ baseUrl: `http://${service.addresses[0]}` }),
  );
}, 90_000);
afterAll(() => service.close());

async function submit(components: ComponentInit[]): Promise<string> {
  const { result } = await client.submitSnapshot({
    node,
    snapshot: snapshot(SLOT, [{ kind: ProofKind.MERGE, components }], keysOfBothRoles()),
    deadlineMs: 60_000,
    fenceMs: 120_000,
  });
  if (result.case === "accepted") return result.value.requestId;
  throw new Error(`skipped: ${result.value?.detail ?? "no answer"}`);
}

async function outcomeOf(requestId: string): Promise<Outcome> {
  for (;;) {
    const { session } = await client.getSession({ node, requestId, waitMs: 60_000 });
    const [outcome] = session?.outcomes ?? [];
    if (outcome !== undefined) return outcome;
  }
}

/** Resolves once every component is verified, which the proposer's signature is last of. */
async function proofBegins(): Promise<void> {
  const verified = /^lean_aggregator_server_valid_signatures_total 1$/m;
  while (!verified.test(await metrics())) await new Promise(setImmediate);
}

async function metrics(): Promise<string> {
  return (await fetch(`http://${service.probesAddress}/metrics`)).text();
}

/** The block of slot 106 with two attestations, and its proposer's signature. */
const block = (proof = child(2).proof) => [
  proofComponent(4, 8, proof),
  proofComponent(0, 16, child(0).proof),
  proposerComponent(12),
];

test("a bad component is named by its place, and nothing is proved", async () => {
  const outcome = await outcomeOf(await submit(block(tampered(child(2).proof))));
  expect(outcome.status).toBe(OutcomeStatus.REJECTED);
  expect(outcome.leftOut.map(({ reason, input }) => [reason, input.case, input.value])).toEqual([
    [LeftOutReason.BAD_CHILD, "componentIndex", 0],
  ]);
  expect(outcome.proof).toHaveLength(0);
});

test(
  "a block's proof attests its components and no others, though its first prover was killed",
  { timeout: 240_000 },
  async () => {
    const requestId = await submit(block());
    await proofBegins();
    process.kill(proverPid(service), "SIGKILL");
    const outcome = await outcomeOf(requestId);
    expect(outcome).toMatchObject({ status: OutcomeStatus.PROVED, attempt: 2, fake: false });
    expect(outcome.claims.map(({ signed }) => signed.case)).toEqual(["data", "data", "root"]);

    const claims = [proofClaim(4, 8), proofClaim(0, 16), proposerClaim(12)];
    const attests = async (ofProof: typeof claims, proof = outcome.proof) =>
      (await client.verifyAggregate({ node, kind: ProofKind.MERGE, claims: ofProof, proof })).valid;
    expect(await attests(claims)).toBe(true);
    expect(await attests(claims.slice(1))).toBe(false);
    expect(await attests([proofClaim(4, 7), ...claims.slice(1)])).toBe(false);
    expect(
      await attests([...claims.slice(0, 2), { ...proposerClaim(12), publicKeys: [publicKey(0)] }]),
    ).toBe(false);
    expect(await attests([...claims.slice(0, 2), proposerClaim(8)])).toBe(false);
    expect(await attests(claims, tampered(outcome.proof))).toBe(false);
  },
);
