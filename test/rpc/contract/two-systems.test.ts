/** Fake devices of several proof systems in one service, over the contract. */
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Outcome } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  AttestationDataSchema,
  LeftOutReason,
  OutcomeStatus,
  SkipReason,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { attestationDataRoot } from "../../../server/admission/attestation-data.js";
import type { FakeSystem } from "../../../server/prover/fake/fake.js";
import { fakeSignature, startFakeProver } from "../../../server/prover/fake/fake.js";
import type { Service } from "../../../server/service.js";
import {
  clientOver,
  inventedData,
  inventedGroup,
  requestIdOf,
} from "../../../tools/harness/wire/contract.js";
import type { AggregatorClient } from "../../../tools/harness/wire/contract.js";
import { mergeOf, proofComponent, rawsComponent } from "../../../tools/harness/merges.js";
import { bits, keyTable, publicKey, snapshot } from "../../../tools/harness/vectors.js";
import type { GroupInit, KeyInit } from "../../../tools/harness/vectors.js";
import { metricValue } from "../../helpers/metric-value.js";
import { listenTestService, startTestService } from "../../helpers/start-service.js";

const FIRST = { scheme: "fake", revision: "fake-1" };
const NEXT = { scheme: "fake", revision: "fake-2" };
const OTHER = { scheme: "wide", revision: "w1" };
const WIDE = { ...OTHER, publicKeyBytes: 40, signatureBytes: 100 };
const SYSTEMS: Readonly<Record<string, FakeSystem>> = { a: FIRST, b: NEXT, c: WIDE };
const settings = {
  prover: "fake",
  devices: Object.keys(SYSTEMS).map((id) => ({ id, fake: {} })),
  proofSystem: "fake fake-1",
};

/** While it is shut, no proof ends. */
let shut: Promise<void> | undefined;
const startProver = (id: string) =>
  startFakeProver({
    system: SYSTEMS[id],
    proveMs: () => 1,
    sleep: () => shut ?? Promise.resolve(),
  });

let service: Service;
let client: AggregatorClient;
beforeAll(async () => {
  service = await startTestService(startProver, settings);
  client = clientOver(service, "gRPC");
  await vi.waitFor(
    async () => expect((await client.getServerInfo({})).status?.offers).toHaveLength(3),
    { timeout: 20_000 },
  );
});
afterAll(() => service.close());

type Name = Partial<typeof FIRST>;
const budgets = { deadlineMs: 5000, fenceMs: 6000 };
const request = (nodeId: string, groups: GroupInit[], proofSystem?: Name, keys?: KeyInit[]) => ({
  node: { nodeId },
  snapshot: snapshot(100, groups, keys ?? keyTable(8)),
  ...budgets,
  ...(proofSystem && { proofSystem }),
});

async function outcomeOf(...asked: Parameters<typeof request>): Promise<Outcome> {
  const requestId = requestIdOf(await client.submitSnapshot(request(...asked)));
  return ended(asked[0], requestId);
}

async function ended(nodeId: string, requestId: string): Promise<Outcome> {
  const { session } = await client.getSession({ node: { nodeId }, requestId, waitMs: 5000 });
  const [outcome] = session?.outcomes ?? [];
  if (outcome === undefined) throw new Error("no outcome");
  return outcome;
}

const wideKey = (validator: number) => Buffer.concat([publicKey(validator), Buffer.alloc(8)]);
const wideKeys = [0, 1].map((validatorIndex) => {
  return { validatorIndex, publicKey: wideKey(validatorIndex) };
});
function wideGroup(n: number): GroupInit {
  const root = attestationDataRoot(create(AttestationDataSchema, inventedData(n)), "data");
  const rawSignatures = wideKeys.map(({ validatorIndex, publicKey: key }) => {
    return { validatorIndex, signature: fakeSignature(key, root, 100, WIDE) };
  });
  return { data: inventedData(n), rawSignatures };
}

test("each is an offer with its sizes and devices, the default first", async () => {
  const { status, devices } = await client.getServerInfo({});
  const offers = status?.offers.map((offer) => {
    const { proofSystem, publicKeyBytes, signatureBytes, deviceIds, fake } = offer;
    return [proofSystem?.revision, publicKeyBytes, signatureBytes, deviceIds, fake];
  });
  expect(offers).toEqual([
    ["fake-1", 32, 64, ["a"], true],
    ["fake-2", 32, 64, ["b"], true],
    ["w1", 40, 100, ["c"], true],
  ]);
  expect(devices.map(({ id }) => id)).toEqual(["a", "b", "c"]);
});

test.each<[string, Name | undefined, typeof FIRST]>([
  ["no name", undefined, FIRST],
  ["the default's scheme", { scheme: "fake" }, FIRST],
  ["a revision", { revision: "fake-2" }, NEXT],
  ["scheme and revision", NEXT, NEXT],
])("a request with %s is proved by the device of that proof system", async (_, asked, by) => {
  const outcome = await outcomeOf("named", [inventedGroup(1)], asked);
  expect(outcome).toMatchObject({ status: OutcomeStatus.PROVED, proofSystem: by, fake: true });
});

test("keys and signatures have the sizes of the proof system that is named", async () => {
  const outcome = await outcomeOf("wide", [wideGroup(2)], { scheme: "wide" }, wideKeys);
  expect(outcome).toMatchObject({ status: OutcomeStatus.PROVED, proofSystem: OTHER });
  await expect(client.submitSnapshot(request("wide", [inventedGroup(2)], OTHER))).rejects.toThrow(
    "snapshot.keys[0].public_key: has 32 bytes, and none of the 8 public keys has the 40 of wide",
  );
});

describe("a name that nobody offers", () => {
  const names = 'this server proves "fake fake-1", "fake fake-2", "wide w1"';
  test.each([
    [{ scheme: "bls" }, `proof_system.scheme: is "bls", ${names}`],
    [{ scheme: "wide", revision: "w2" }, `proof_system.revision: is "w2", ${names}`],
  ])("%j is refused with the names of the offers", async (asked, text) => {
    await expect(client.submitSnapshot(request("n", [inventedGroup(3)], asked))).rejects.toThrow(
      text,
    );
    const verify = { data: inventedData(3), proof: new Uint8Array(9), publicKeys: [publicKey(0)] };
    const node = { nodeId: "n" };
    await expect(client.verifyAggregate({ node, ...verify, proofSystem: asked })).rejects.toThrow(
      text,
    );
  });

  test("is skipped while a device is set up that may have it", async () => {
    const never = new Promise<never>(() => undefined);
    const starting = await listenTestService((id) => {
      const prover = startProver(id);
      return id === "c" ? Object.assign(prover, { ready: never }) : prover;
    }, settings);
    try {
      await starting.ready();
      const { result } = await clientOver(starting, "gRPC").submitSnapshot(
        request("n", [wideGroup(3)], OTHER, wideKeys),
      );
      expect(result.value).toMatchObject({ reason: SkipReason.NO_PROVER });
    } finally {
      await starting.close();
    }
  });
});

test("a node may have a session in flight for each, and equal bytes are proved by both", async () => {
  let open = (): void => undefined;
  shut = new Promise((resolve) => (open = resolve));
  const submit = (asked: Name) => client.submitSnapshot(request("two", [inventedGroup(4)], asked));
  const accepted = [requestIdOf(await submit(FIRST)), requestIdOf(await submit(NEXT))];
  const again = await submit(NEXT);
  expect(again.result.value).toMatchObject({
    reason: SkipReason.IN_FLIGHT,
    inFlightRequestId: accepted[1],
  });
  shut = undefined;
  open();
  const outcomes = await Promise.all(accepted.map((requestId) => ended("two", requestId)));
  expect(outcomes).toMatchObject([{ proofSystem: FIRST }, { proofSystem: NEXT }]);
  expect(outcomes[0]?.proof).not.toEqual(outcomes[1]?.proof);
});

test("a proof verifies by the proof system that made it, and by no other", async () => {
  const { proof } = await outcomeOf("verify", [inventedGroup(5)], NEXT);
  const verify = async (proofSystem?: Name) => {
    const asked = { data: inventedData(5), proof, publicKeys: [publicKey(0), publicKey(1)] };
    const node = { nodeId: "verify" };
    const more = proofSystem && { proofSystem };
    return (await client.verifyAggregate({ node, ...asked, ...more })).valid;
  };
  expect([await verify(NEXT), await verify(FIRST), await verify()]).toEqual([true, false, false]);
});

describe("a child", () => {
  const child = async (system: Name, proofSystem?: Name) => {
    const { proof } = await outcomeOf("maker", [inventedGroup(6, [4, 5])], system);
    return { participants: bits([4, 5]), proof, ...(proofSystem && { proofSystem }) };
  };
  const leftOut = (outcome: Outcome) =>
    outcome.leftOut.map(({ reason, input }) => [reason, input.value]);

  test("that names another proof system is left out for that, before anything is verified", async () => {
    const { registry } = service.metrics;
    const counted = () =>
      metricValue(registry, "lean_aggregator_server_votes_total", {
        ...{ fate: "other_system", reason: "", step: "" },
      });
    const before = (await counted()) ?? 0;
    const group = { ...inventedGroup(6), children: [await child(NEXT, NEXT), await child(NEXT)] };
    const outcome = await outcomeOf("taker", [group]);
    expect(outcome.status).toBe(OutcomeStatus.PROVED);
    // Nothing is said of the second one, and only the prover finds out.
    expect(leftOut(outcome)).toEqual([
      [LeftOutReason.OTHER_SYSTEM, 0],
      [LeftOutReason.BAD_CHILD, 1],
    ]);
    const alone = { data: inventedData(6), children: [await child(NEXT, NEXT)] };
    const rejected = await outcomeOf("taker", [alone]);
    expect(rejected).toMatchObject({ status: OutcomeStatus.REJECTED, votes: { otherSystem: 2 } });
    expect((await counted()) ?? 0).toBe(before + 2);
  });

  test("that names the request's, in part or whole, is folded", async () => {
    const named = [NEXT, { scheme: "fake" }, { revision: "fake-2" }, {}];
    for (const name of named) {
      const group = { ...inventedGroup(6), children: [await child(NEXT, name)] };
      expect(await outcomeOf("taker", [group], NEXT)).toMatchObject({
        ...{ leftOut: [], childrenFolded: [0] },
      });
    }
  });

  test("of any length is no fault of the node's encoding", async () => {
    const said = { participants: bits([4]), proof: new Uint8Array(), proofSystem: OTHER };
    const outcome = await outcomeOf("taker", [{ data: inventedData(6), children: [said] }]);
    expect(leftOut(outcome)).toEqual([[LeftOutReason.OTHER_SYSTEM, 0]]);
  });

  test("makes a merge end rejected, as a component", async () => {
    const { proof } = await child(NEXT);
    const component = { ...proofComponent(6, proof, [4, 5]), proofSystem: NEXT };
    const outcome = await outcomeOf("taker", [mergeOf(component, rawsComponent(7, [1]))]);
    expect(outcome).toMatchObject({
      status: OutcomeStatus.REJECTED,
      votes: { otherSystem: 2, notStarted: 1 },
    });
    expect(leftOut(outcome)).toEqual([[LeftOutReason.OTHER_SYSTEM, 0]]);
  });
});
