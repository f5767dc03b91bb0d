/**
 * Measures what the service adds to the time of a proof. Each pair of samples has the same input:
 * the service from submission to result, and a bare prover that verifies the input, proves, and
 * verifies the proof. The bare prover is a process like the service's own.
 */
import { foldedProof, foldOfAll } from "../../../server/prover/prover.js";
import type { Prover } from "../../../server/prover/prover.js";
import { concat } from "../../../server/bytes.js";
import { publicKey, raws, rootOf } from "../../harness/vectors.js";
import { StreamNode } from "../../harness/wire/stream-node.js";
import { PROVABLE, SLOT, provableGroup, snapshotOf } from "../inputs.js";
import type { Measurement } from "../measurement.js";
import type { Row } from "../report.js";
import { withBareProver } from "./bare-prover.js";
import { comparePairs, notes } from "./pairs.js";
import type { Took } from "./pairs.js";
import { serviceSide } from "./service-side.js";
import { withService } from "../with-service.js";

const SHAPES = [1, 16, 32, 64];
const GOAL = { raws: 32, addedMs: 40 };
/** How long one pair of every shape takes on two cores, in seconds. */
const PAIR_SECONDS = 11;
const [VECTOR] = PROVABLE;

export const overhead: Measurement = {
  name: "overhead",
  seconds: ({ pairs }) => (pairs + 1) * PAIR_SECONDS,
  run: ({ pairs }, progress) =>
    withService(({ address }) =>
      withBareProver(async (prover) => {
        const node = await StreamNode.open(address, "bench");
        const rows: Row[] = [];
        const goals = [];
        for (const count of SHAPES) {
          const sides = {
            bare: bareSide(prover, count),
            service: serviceSide(node, snapshotOf([provableGroup(VECTOR, count)], count)),
          };
          const row = await comparePairs(sides, pairs, (done) =>
            progress(`${count} raws: ${done} of ${pairs} pairs`),
          );
          rows.push({ raws: count, ...row });
          if (count !== GOAL.raws) continue;
          const what = `added to a proof of ${count} raws, median of ${pairs} pairs`;
          const { addedMedianMs: value, addedErrorMs: error } = row;
          goals.push({ what, value, error, atMost: GOAL.addedMs, unit: " ms" });
        }
        node.close();
        return { title: "overhead: submit to result over bare proving", rows, goals, notes };
      }),
    ),
};

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
