/**
 * VerifyAggregate shares a process with the checks of inputs and proofs: one call at a time uses it,
 * few wait, and no caller takes the places of all others.
 */
import type { Interceptor } from "@connectrpc/connect";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, expect, test, vi } from "vitest";
import { AggregatorService } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../server/limits.js";
import type * as Limits from "../../../server/limits.js";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import type { ClaimedProof } from "../../../server/prover/prover.js";
import type { Service } from "../../../server/service.js";
import { bits, dataOf, publicKey } from "../../../tools/harness/vectors.js";
import { inventedGroup, outcomesOf } from "../../../tools/harness/wire/contract.js";
import { startTestService } from "../../helpers/start-service.js";
import { policyFile, tokenOf } from "../access/access-matrix.js";

// Verifications end when a test says so, however slow the machine is.
vi.mock("../../../server/limits.js", async (original) => {
  const real = await original<typeof Limits>();
  return { ...real, limits: { ...real.limits, verifyMsMax: 60_000 } };
});

const HALF = limits.verifyCallsMax / 2;

/** A verification that the prover was asked for, and its end. */
interface Asked {
  readonly proof: ClaimedProof;
  readonly answer: (isValid: boolean) => void;
}

/** Verifications in the prover, oldest first, which end when a test says so. */
let asked: Asked[] = [];
let service: Service | undefined;
afterEach(async () => {
  await service?.close();
  asked = [];
});

function startProver() {
  const prover = startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() });
  prover.verify = (proof) => new Promise((answer) => asked.push({ proof, answer }));
  return prover;
}

/** Answers the oldest verification in the prover as soon as there is one. Resolves with its proof. */
async function answer(isValid: boolean): Promise<Uint8Array | undefined> {
  await expect.poll(() => asked.length, { interval: 5 }).toBeGreaterThan(0);
  const first = asked.shift();
  first?.answer(isValid);
  return first?.proof.bytes;
}

/** @param id the proof that it asks about */
function clientOf(id = 0, token?: string) {
  const show: Interceptor = (next) => (request) => {
    if (token !== undefined) request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  const baseUrl = `http://${service?.addresses[0]}`;
  const client = createClient(
    AggregatorService,
    createGrpcTransport({ baseUrl, interceptors: [show] }),
  );
  const verify = () =>
    client.verifyAggregate({
      node: { nodeId: "verifier" },
      data: dataOf(0),
      publicKeys: [publicKey(0)],
      proof: Uint8Array.of(id),
    });
  return { client, verify };
}

test("a caller gets as many places as it leaves free, and each caller that waits its turn", async () => {
  const names = ["one", "two", "three"];
  const policy = policyFile(
    ...names.map((name) => {
      const tokens = [tokenOf(`lagg_${name}`)];
      return { name, tokens, nodes: ["*"], calls: ["*"], priorities: ["*"] };
    }),
  );
  service = await startTestService(startProver, { policy });
  const calls: Promise<{ valid: boolean }>[] = [];
  for (const [at, name] of names.entries()) {
    const { verify } = clientOf(at, `lagg_${name}`);
    for (let own = 0; own < HALF / 2 ** at; own++) calls.push(verify());
    await expect(verify()).rejects.toThrow(/resource_exhausted.*overloaded/);
  }
  const order = [];
  while (order.length < calls.length) {
    order.push(...((await answer(true)) ?? []));
    expect(asked.length).toBeLessThanOrEqual(1);
  }
  // Eight of the first, of which one was taken at once, four of the second and two of the third.
  expect(order).toEqual([0, 0, 1, 2, 0, 1, 2, 0, 1, 0, 1, 0, 0, 0]);
  for (const { valid } of await Promise.all(calls)) expect(valid).toBe(true);
  const next = clientOf(0, "lagg_one").verify();
  await answer(false);
  expect((await next).valid).toBe(false);
});

test("a group waits for one verification of a caller at most, however many callers wait", async () => {
  service = await startTestService(startProver);
  const { client, verify } = clientOf();
  const taken = Array.from({ length: HALF }, () => verify());
  await expect(verify()).rejects.toThrow("overloaded");
  expect(asked).toHaveLength(1);
  const child = { participants: bits([2]), proof: Uint8Array.of(7) };
  const group = { ...inventedGroup(0), children: [child] };
  const outcomes = outcomesOf(client, { nodeId: "node" }, [group]);
  await expect.poll(() => asked.length).toBe(2);
  expect(asked[1]?.proof.bytes).toEqual(child.proof);
  // Those of the group: its child, and then its proof.
  for (const isValid of [false, true]) {
    await expect.poll(() => asked.length).toBe(2);
    asked.splice(1, 1)[0]?.answer(isValid);
  }
  const [outcome] = await outcomes;
  expect(outcome?.participants).toEqual(bits([0, 1]));
  for (let nth = 0; nth < HALF; nth++) await answer(true);
  await Promise.all(taken);
});
