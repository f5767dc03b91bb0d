/** A snapshot is refused at once only when not even a part of it could be proved in time. */
import { createClient } from "@connectrpc/connect";
import type { Client } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  AggregatorService,
  BusyPolicy,
  SkipReason,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { fakeSignature } from "../../../server/prover/fake/fake.js";
import type { Service } from "../../../server/service.js";
import { GatedProver } from "./gated-prover.js";
import { listenTestService } from "../../helpers/start-service.js";
import { StandingClock } from "../../../tools/harness/standing-clock.js";
import { bits, dataOf, publicKey, rootOf, snapshot } from "../../../tools/harness/vectors.js";

/** By the cost table a proof of 64 raws takes over 2 s, and optimistically 0.4 s. */
const RAWS = 64;

let service: Service;
let client: Client<typeof AggregatorService>;
let prover: GatedProver;
/** Stands still, so that a running proof has as long to go as when it began. */
let clock: StandingClock;

beforeEach(async () => {
  prover = new GatedProver();
  clock = new StandingClock();
  service = await listenTestService(prover.start, {}, { clock });
  await service.ready();
  clock.stand();
  client = createClient(
    AggregatorService,
    createGrpcTransport({ baseUrl: `http://${service.addresses[0]}` }),
  );
});
afterEach(async () => {
  clock.run();
  prover.endProofs();
  await service.close();
});

const raws = Array.from({ length: RAWS }, (_, v) => ({
  validatorIndex: v,
  signature: fakeSignature(publicKey(v), rootOf(0), 100),
}));

/** `count` raw signatures: of another number, the work is another. */
async function submit(
  nodeId: string,
  deadlineMs: number,
  fenceMs: number,
  count = RAWS,
  busyPolicy = BusyPolicy.UNSPECIFIED,
) {
  const groups = [{ data: dataOf(0), rawSignatures: raws.slice(0, count) }];
  const budgets = { deadlineMs, fenceMs };
  const request = { node: { nodeId }, snapshot: snapshot(100, groups), ...budgets, busyPolicy };
  return (await client.submitSnapshot(request)).result;
}

test("an idle device takes a first group whatever its budgets", async () => {
  expect((await submit("a", 1, 500)).case).toBe("accepted");
});

test("behind a running proof it is skipped when none could start before the deadline", async () => {
  await submit("a", 5000, 60_000);
  await prover.untilProofs(1);
  const late = await submit("b", 250, 60_000, RAWS - 1);
  expect(late).toMatchObject({ case: "skipped", value: { reason: SkipReason.PREDICTED_MISS } });
  expect(late.case === "skipped" && late.value.predictedFinishMs).toBeGreaterThan(250);
  expect((await submit("c", 5000, 60_000, RAWS - 2)).case).toBe("accepted");
});

test("and when none could be done before the fence, though one could start", async () => {
  await submit("a", 5000, 60_000);
  await prover.untilProofs(1);
  // The least that may be proved of two children are both: 1.2 s, seen optimistically.
  const child = (validator: number) => ({
    participants: bits([validator]),
    proof: Uint8Array.of(1),
  });
  const groups = [{ data: dataOf(0), children: [child(0), child(1)] }];
  const budgets = { deadlineMs: 1000, fenceMs: 1000 };
  const request = { node: { nodeId: "b" }, snapshot: snapshot(100, groups), ...budgets };
  expect((await client.submitSnapshot(request)).result).toMatchObject({
    case: "skipped",
    value: {
      reason: SkipReason.PREDICTED_MISS,
      detail: expect.stringContaining("before the fence") as string,
    },
  });
});

test("those that wait before it are counted, unless they could not start in time either", async () => {
  await submit("a", 5000, 60_000);
  await prover.untilProofs(1);
  // Each takes 0.4 s at least: a second one behind the running proof starts after 0.8 s. The one that
  // is worth less comes second.
  expect((await submit("b", 500, 60_000, RAWS - 2)).case).toBe("accepted");
  expect((await submit("c", 500, 60_000, RAWS - 3)).case).toBe("skipped");
  expect((await submit("d", 5000, 60_000, RAWS - 1)).case).toBe("accepted");
});

test("a session that the snapshot would replace is not counted", async () => {
  await submit("a", 5000, 60_000);
  await prover.untilProofs(1);
  expect((await submit("b", 500, 60_000, RAWS - 2)).case).toBe("accepted");
  const replaced = await submit("b", 500, 60_000, RAWS - 1, BusyPolicy.REPLACE);
  expect(replaced.case).toBe("accepted");
});

test("work that is being proved already is no miss: it starts at once", async () => {
  await submit("a", 5000, 60_000);
  await prover.untilProofs(1);
  expect((await submit("b", 1, 60_000)).case).toBe("accepted");
});

test("but when that proof would come after the fence it is", async () => {
  await submit("a", 5000, 60_000);
  await prover.untilProofs(1);
  expect((await submit("b", 250, 250)).case).toBe("skipped");
});
