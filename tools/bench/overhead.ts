/**
 * Measures what the service adds to the time of a proof. Each pair of samples has the same input:
 * the service from submission to result, and a bare prover that verifies the input, proves, and
 * verifies the proof. The bare prover is a process like the service's own.
 */
import { AggregatorClient } from "../../client/rpc/aggregator-client.js";
import {
  OutcomeStatus,
  type StreamResultsResponse,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { readBackendFile } from "../../server/prover/backend-file.js";
import { proverEnvironment, startForkedProver } from "../../server/prover/forked-prover.js";
import { foldedProof, foldOfAll } from "../../server/prover/prover.js";
import type { Prover } from "../../server/prover/prover.js";
import { concat } from "../../server/bytes.js";
import { publicKey, raws, rootOf } from "../harness/vectors.js";
import { PROVABLE, SLOT, provableGroup, snapshotOf } from "./inputs.js";
import type { Measurement } from "./measurement.js";
import type { Row } from "./report.js";
import { withService } from "./with-service.js";
import { differences, quantile, spread } from "./statistics.js";

const SHAPES = [1, 16, 32, 64];
const GOAL = { raws: 32, addedMs: 40 };
/** How long one pair of every shape takes on two cores, in seconds. */
const PAIR_SECONDS = 11;
/** The default niceness of provers in `serve`. */
const PROVER_NICE = 10;
const [VECTOR] = PROVABLE;
const NODE = { nodeId: "overhead", nodeEpoch: 1n };
const BUDGETS = { deadlineMs: 60_000, fenceMs: 120_000 };
/** Events that may come between those that a sample waits for. */
const BESIDE: ReadonlySet<string> = new Set(["heartbeat", "sending", "status"]);

/** How long one proof took, by the service or the bare prover. */
interface Took {
  totalMs: number;
  /** The part of `totalMs` from the request to the prover process until its proof is returned. */
  proveMs: number;
}

export const overhead: Measurement = {
  name: "overhead",
  seconds: ({ pairs }) => (pairs + 1) * PAIR_SECONDS,
  run: ({ pairs }, progress) =>
    withService(({ address }) =>
      withBareProver(async (prover) => {
        const client = new AggregatorClient({ address });
        const service = await ServiceSide.open(client);
        const rows: Row[] = [];
        const goals = [];
        for (const count of SHAPES) {
          const sides = { bare: bareSide(prover, count), service: service.side(count) };
          const row = await shape(sides, pairs, (done) =>
            progress(`${count} raws: ${done} of ${pairs} pairs`),
          );
          rows.push({ raws: count, ...row });
          if (count !== GOAL.raws) continue;
          const what = `added to a proof of ${count} raws, median of ${pairs} pairs`;
          const { addedMedianMs: value, addedErrorMs: error } = row;
          goals.push({ what, value, error, atMost: GOAL.addedMs, unit: " ms" });
        }
        service.close();
        client.close();
        return { title: "overhead: submit to result over bare proving", rows, goals, notes };
      }),
    ),
};

const notes = [
  "added: per pair, service less bare; q1 and q3 are its quartiles, error its median's standard",
  "error. outsideProof: the same with each side's own proving time taken out, which leaves out the",
  "noise of the proof and whatever the service might do to it.",
];

async function shape(
  sides: { bare: () => Promise<Took>; service: () => Promise<Took> },
  pairs: number,
  done: (pairs: number) => void,
) {
  const bare: Took[] = [];
  const service: Took[] = [];
  await sides.bare();
  await sides.service();
  for (let pair = 0; pair < pairs; pair++) {
    const isBareFirst = pair % 2 === 0;
    if (isBareFirst) bare.push(await sides.bare());
    service.push(await sides.service());
    if (!isBareFirst) bare.push(await sides.bare());
    done(pair + 1);
  }
  const total = (side: Took[]) => side.map(({ totalMs }) => totalMs);
  const outside = (side: Took[]) => side.map(({ totalMs, proveMs }) => totalMs - proveMs);
  const added = spread(differences(total(bare), total(service)));
  const outsideProof = spread(differences(outside(bare), outside(service)));
  return {
    pairs,
    bareMedianMs: quantile(total(bare), 0.5),
    serviceMedianMs: quantile(total(service), 0.5),
    addedMedianMs: added.median,
    addedQ1Ms: added.q1,
    addedQ3Ms: added.q3,
    addedErrorMs: added.error,
    outsideProofMedianMs: outsideProof.median,
    outsideProofErrorMs: outsideProof.error,
  };
}

/** Verifies the inputs, proves, and verifies the proof: what every caller of a prover must do. */
function bareSide(prover: Prover, count: number): () => Promise<Took> {
  const votes = raws(VECTOR, 0, count);
  const message = { root: rootOf(VECTOR), slot: SLOT };
  const keys = concat(votes.map(({ validatorIndex }) => publicKey(validatorIndex)));
  const signatures = concat(votes.map(({ signature }) => signature));
  const job = foldOfAll(prover.description, {
    message,
    keys,
    signatures,
    children: [],
    logInvRate: 0,
  });
  return async () => {
    const startedMs = performance.now();
    const verdicts = await prover.verifySignatures({ ...message, keys, signatures });
    if (verdicts.some((verdict) => verdict !== "ok")) throw new Error("a vote is bad");
    const provingMs = performance.now();
    const proof = await prover.prove(job);
    const proveMs = performance.now() - provingMs;
    if (!(await prover.verify(foldedProof(message, { proof, keys }))))
      throw new Error("a bad proof");
    return { totalMs: performance.now() - startedMs, proveMs };
  };
}

/** Submits as a node does, and reads the outcome from the node's stream. */
class ServiceSide {
  private constructor(
    private readonly client: AggregatorClient,
    private readonly events: AsyncGenerator<StreamResultsResponse, void>,
    private readonly abort: AbortController,
  ) {}

  static async open(client: AggregatorClient): Promise<ServiceSide> {
    const abort = new AbortController();
    const side = new ServiceSide(client, client.streamResults({ node: NODE }, abort.signal), abort);
    await side.next("opened");
    return side;
  }

  side(count: number): () => Promise<Took> {
    const snapshot = snapshotOf([provableGroup(VECTOR, count)], count);
    const request = { node: NODE, snapshot, ...BUDGETS };
    return async () => {
      const startedMs = performance.now();
      const { result } = await this.client.submitSnapshot(request);
      if (result.case !== "accepted") throw new Error(`skipped: ${result.value?.detail}`);
      const outcome = await this.next("outcome");
      const totalMs = performance.now() - startedMs;
      if (outcome.status !== OutcomeStatus.PROVED || outcome.proof.length === 0)
        throw new Error(`the service did not prove: ${OutcomeStatus[outcome.status]}`);
      await this.next("summary");
      return { totalMs, proveMs: outcome.proveMs };
    };
  }

  close(): void {
    this.abort.abort();
  }

  /** The next event but for those that only keep a stream alive or say what the service can do. */
  private async next<C extends "opened" | "outcome" | "summary">(expected: C) {
    for (;;) {
      const { value } = await this.events.next();
      const event = value?.event;
      if (event?.case !== undefined && BESIDE.has(event.case)) continue;
      if (event?.case !== expected)
        throw new Error(`the stream gave ${event?.case}, not ${expected}`);
      return event.value as Extract<StreamResultsResponse["event"], { case: C }>["value"];
    }
  }
}

async function withBareProver<T>(run: (prover: Prover) => Promise<T>): Promise<T> {
  const prover = await startForkedProver({
    deviceId: "bare",
    childPath: "dist/server/prover/child-main.js",
    backend: readBackendFile(process.cwd()),
    nice: PROVER_NICE,
    cores: [],
    env: proverEnvironment(process.env, {}),
    startTimeoutMs: 60_000,
  });
  try {
    return await run(prover);
  } finally {
    prover.kill();
    await prover.exited;
  }
}
