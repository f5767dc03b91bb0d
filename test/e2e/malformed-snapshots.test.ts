/** Malformed snapshots before the real prover: refused or accounted for, and it proves on. */
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  OutcomeStatus,
  SubmitSnapshotRequestSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Service } from "../../server/service.js";
import { Flood } from "../../tools/fuzz/flood.js";
import { encoded } from "../../tools/fuzz/seeds.js";
import { clientOver, outcomesOf } from "../../tools/harness/wire/contract.js";
import { proverPid, startRealService } from "../helpers/start-service.js";
import * as vectors from "../../tools/harness/vectors.js";
import type { GroupInit } from "../../tools/harness/vectors.js";

const SEED = 20_261_124;
const COUNT = 300;
/** Without an epoch: a later run of a node ends the proofs, and so the prover, of an earlier one. */
const node = { nodeId: "fuzz" };
/** One whole proof takes a second, and some are still whole enough to be proved. */
const RUN_MS_MAX = 400_000;

const bad = (group: number, validator: number) => ({
  ...vectors.raw(group, validator),
  signature: vectors.tampered(vectors.raw(group, validator).signature),
});
const child = vectors.child(0);
const groups: GroupInit[][] = [
  [{ data: vectors.dataOf(0), rawSignatures: [bad(0, 0), bad(0, 1), vectors.wrongLeafRaw()] }],
  [{ data: vectors.dataOf(0), rawSignatures: [bad(0, 0)], children: [child] }],
  [{ data: vectors.dataOf(0), children: [{ ...child, proof: vectors.tampered(child.proof) }] }],
  [{ data: vectors.dataOf(0), children: [{ ...child, proof: child.proof.slice(0, 5000) }, child] }],
  [
    { data: vectors.dataOf(0), rawSignatures: [vectors.raw(0, 2), bad(0, 3)] },
    { data: vectors.dataOf(1), rawSignatures: [bad(1, 0)] },
  ],
];

let service: Service;

beforeAll(async () => {
  service = await startRealService();
}, 90_000);
afterAll(() => service.close());

test(
  "300 of them end no prover and keep no proof of a good group from being made",
  async () => {
    const seeds = groups.map((each) => {
      const snapshot = vectors.snapshot(100, each, vectors.keyTable(65));
      return encoded(SubmitSnapshotRequestSchema, { node, snapshot, fenceMs: 60_000 });
    });
    const pid = proverPid(service);
    const flood = new Flood(seeds, SEED);
    await flood.send(service.addresses[0] ?? "", COUNT, 2);
    process.stdout.write(`${JSON.stringify(flood.tally)}\n`);
    const answers = Object.entries(flood.tally).filter(([what]) => !what.startsWith("group"));
    expect(answers.reduce((sum, [, count]) => sum + count, 0)).toBe(COUNT);
    expect(flood.tally["refused 3"]).toBeGreaterThan(0);
    expect(flood.tally["group REJECTED"]).toBeGreaterThan(0);
    expect(proverPid(service)).toBe(pid);
    const good = { data: vectors.dataOf(0), rawSignatures: vectors.raws(0, 0, 2) };
    const client = clientOver(service, "gRPC");
    const [outcome] = await outcomesOf(client, { nodeId: "well-behaved" }, [good]);
    expect(outcome?.status).toBe(OutcomeStatus.PROVED);
  },
  RUN_MS_MAX,
);
