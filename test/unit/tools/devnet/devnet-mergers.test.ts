/** The devnet's ways to merge a body, over fake provers: what is asked, and when it is handed over. */
import { MessageChannel, Worker } from "node:worker_threads";
import { create } from "@bufbuild/protobuf";
import { expect, test, vi } from "vitest";
import type { TickResult } from "../../../../client/index.js";
import {
  KeyRole,
  OutcomeReason,
  OutcomeSchema,
  OutcomeStatus,
} from "../../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { fakeSignature, startFakeProver } from "../../../../server/prover/fake/fake.js";
import { messageOf, participantsOf } from "../../../../tools/devnet/chain/containers.js";
import { foldOf, mergeOf } from "../../../../tools/devnet/node/aggregators/in-process-jobs.js";
import {
  InlineMerger,
  WorkerMerger,
} from "../../../../tools/devnet/node/aggregators/in-process-merger.js";
import { InProcessProver } from "../../../../tools/devnet/node/aggregators/in-process-prover.js";
import type { MergeAsk } from "../../../../tools/devnet/node/aggregators/body-merger.js";
import {
  mergedOf,
  mergeInit,
  mergeOptions,
} from "../../../../tools/devnet/node/aggregators/service-merge.js";
import { publicKey } from "../../../../tools/harness/vectors.js";
import { playSlots } from "./devnet-chain.js";

const keys = [0, 1, 2, 3].map((at) => publicKey(at));
const proposalKeys = [10, 11, 12, 13].map((at) => publicKey(at));
const tables = { keys, proposalKeys };

const fakeProver = () => startFakeProver({ proveMs: () => 0, sleep: () => Promise.resolve() });

/** A body of two messages with the fake prover's proofs, and the proposer's signature. */
async function bodyAndSignature(): Promise<Required<Omit<MergeAsk, "slot">> & { slot: number }> {
  const store = playSlots(1, 4);
  const prover = fakeProver();
  await prover.ready;
  const body = [];
  for (const [slot, voters] of [
    [5, [0, 1]],
    [6, [2, 3]],
  ] as const) {
    const data = store.voteData(slot);
    const message = messageOf(data);
    const raws = voters.map((validator) => ({
      validator,
      signature: fakeSignature(publicKey(validator), message, slot),
    }));
    const proof = await prover.prove(foldOf({ data, message, raws, children: [] }, keys));
    body.push({ data, participants: participantsOf(voters), proof });
  }
  const root = new Uint8Array(32).fill(9);
  const signature = fakeSignature(publicKey(11), root, 7);
  return { slot: 7, body, signed: { root, validator: 1, signature } };
}

test("in its own process a node merges a body, with or without the proposer's signature", async () => {
  const ask = await bodyAndSignature();
  const prover = fakeProver();
  await prover.ready;
  for (const each of [ask, { ...ask, signed: null }]) {
    const job = mergeOf(each, tables);
    const bytes = await prover.prove(job);
    expect(job.wanted).toHaveLength(each.signed === null ? 2 : 3);
    expect(await prover.verify({ kind: "merge", bytes, claims: job.wanted })).toBe(true);
  }
  const job = mergeOf(ask, tables);
  expect(job.wanted.map(({ slot }) => slot)).toEqual([5, 6, 7]);
  expect(job.raws).toEqual([{ ...job.wanted[2], signatures: ask.signed?.signature }]);
});

/** Answers every job with a proof: a merge took 20 ms, votes took 10 ms. */
const ANSWERING_THREAD = `
  const { port, answered } = require("node:worker_threads").workerData;
  port.on("message", ({ kind }) => {
    port.postMessage({ proof: new Uint8Array([4]), proveMs: kind === "merge" ? 20 : 10 });
    Atomics.add(answered, 0, 1);
    Atomics.notify(answered, 0);
  });
`;

test("a prover in the node's process counts votes and merges alike, blocked or not", async () => {
  const ask = await bodyAndSignature();
  const answered = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const { port1, port2 } = new MessageChannel();
  const data = { workerData: { port: port2, answered }, transferList: [port2] };
  const worker = new Worker(ANSWERING_THREAD, { eval: true, ...data });
  const proved: number[] = [];
  const onProved = (proveMs: number) => proved.push(proveMs);
  const prover = new InProcessProver(worker, port1, answered, { tables, onProved });
  const group = { data: playSlots(1, 4).voteData(5), message: new Uint8Array(32), children: [] };
  const votes = { ...group, raws: [{ validator: 0, signature: new Uint8Array([1]) }] };
  expect(prover.proveBlocking(votes)).toEqual(new Uint8Array([4]));
  expect(prover.mergeBlocking(ask)).toEqual(new Uint8Array([4]));
  const [proof, merged] = await Promise.all([prover.prove(votes), prover.merge(ask)]);
  expect([proof, merged.proof]).toEqual([new Uint8Array([4]), new Uint8Array([4])]);
  expect(proved).toEqual([10, 20, 10, 20]);
  await prover.close();
});

test("inline has merged when it returns, and a failure is an end like any other", async () => {
  const ask = await bodyAndSignature();
  let fails = false;
  const merger = new InlineMerger({
    mergeBlocking: () => {
      if (fails) throw new Error("no memory");
      return new Uint8Array([4]);
    },
  });
  expect(merger.startMerge(ask)).toBe("started");
  expect(merger.takeMerged()).toMatchObject([{ ask, proof: new Uint8Array([4]), detail: "" }]);
  fails = true;
  merger.startMerge(ask);
  expect(merger.takeMerged()).toMatchObject([{ ask, proof: null, detail: "no memory" }]);
  expect(merger.takeMerged()).toEqual([]);
});

test("a worker's merge is handed over when it has ended", async () => {
  const ask = await bodyAndSignature();
  let end: (made: { proof: Uint8Array; proveMs: number }) => void = () => undefined;
  const merger = new WorkerMerger({ merge: () => new Promise((resolve) => (end = resolve)) });
  expect(merger.startMerge(ask)).toBe("started");
  expect(merger.takeMerged()).toEqual([]);
  end({ proof: new Uint8Array([4]), proveMs: 12 });
  const [merged] = await vi.waitUntil(
    () => {
      const taken = merger.takeMerged();
      return taken.length > 0 && taken;
    },
    { timeout: 20_000 },
  );
  const rest = { proveMs: 12, detail: "", bad: [] };
  expect(merged).toEqual({ ask, end: "proved", proof: new Uint8Array([4]), ...rest });
});

test("to the service a merge has its components in the block's order", async () => {
  const ask = await bodyAndSignature();
  const { components, keys: table } = mergeInit(ask, tables);
  expect(components.map((each) => ["data" in each, "proof" in each])).toEqual([
    [true, true],
    [true, true],
    [false, false],
  ]);
  expect(components[2]).toMatchObject({ root: ask.signed?.root, slot: 7, role: KeyRole.PROPOSAL });
  expect(table).toHaveLength(8);
  expect(mergeInit({ ...ask, signed: null }, tables).keys).toHaveLength(4);
});

test.each([
  [OutcomeStatus.PROVED, OutcomeReason.UNSPECIFIED, "proved"],
  [OutcomeStatus.NOT_STARTED, OutcomeReason.PREDICTED_MISS, "missed"],
  [OutcomeStatus.NOT_STARTED, OutcomeReason.SUPERSEDED, "superseded"],
  [OutcomeStatus.NOT_STARTED, OutcomeReason.DRAINING, "failed"],
  [OutcomeStatus.STOPPED, OutcomeReason.FENCE, "failed"],
])("the service's outcome %i for reason %i is a merge that is %s", async (status, reason, end) => {
  const ask = await bodyAndSignature();
  const outcome = create(OutcomeSchema, { status, reason, proof: new Uint8Array([4]) });
  const result = { kind: "outcome", requestId: "r", outcome } as TickResult;
  expect(mergedOf(ask, result).end).toBe(end);
});

test("a body for a later slot goes with the votes, until that slot; a block is more urgent", async () => {
  const ask = await bodyAndSignature();
  const time = { genesisUnixMs: Date.now() - 7 * 12_000 + 5000, slotMs: 12_000, intervals: 5 };
  const options = (signed: MergeAsk["signed"]) =>
    mergeOptions({ ...ask, signed }, { ...time, intervals: 5 });
  expect(options(null).priority).toBe("aggregation");
  expect(options(null).fenceMs).toBeLessThanOrEqual(5000);
  expect(options(ask.signed).priority).toBe("proposal");
  expect(options(ask.signed).fenceMs).toBeGreaterThan(12_000);
});
