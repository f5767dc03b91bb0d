/**
 * `make bench-merge`: measures what the service adds to the time of a merge, by the number of messages,
 * each with a proof of 16 validators, and with the proposer's raw signature in the same call. The bare
 * side verifies every component, merges, and verifies the merged proof.
 */
import { ProofKind } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { concat } from "../../../server/bytes.js";
import { mergeJob } from "../../../server/lane/prove/prove-merge.js";
import { foldedProof, foldOfAll } from "../../../server/prover/prover.js";
import type { Prover } from "../../../server/prover/prover.js";
import type { ComponentWork, MergeWork } from "../../../server/work/group.js";
import {
  keysOfBothRoles,
  PROPOSER,
  proofComponent,
  proposerComponent,
} from "../../harness/real-components.js";
import type { ComponentInit } from "../../harness/real-components.js";
import { dataOf, publicKey, raws, rootOf, snapshot } from "../../harness/vectors.js";
import { StreamNode } from "../../harness/wire/stream-node.js";
import { withBareProver } from "./bare-prover.js";
import type { Measurement } from "../measurement.js";
import { comparePairs, notes } from "./pairs.js";
import type { Took } from "./pairs.js";
import type { Row } from "../report.js";
import { serviceSide } from "./service-side.js";
import { withService } from "../with-service.js";

const GOAL_MS = 50;
/** How long one pair takes on two cores for each message, body and block together, in seconds. */
const MESSAGE_SECONDS = 6;
/** Indexes of groups of the vectors that at least `VALIDATORS` signed: what is merged. */
const MERGED = [0, 4, 8, 12, 1, 5, 9, 13];
const VALIDATORS = 16;
/** A group of the vectors whose message stands for the block's root. */
const BLOCK = 15;
const SLOT = 107;

/** A component as the service gets it, and as the bare side merges it. */
interface Component {
  sent: ComponentInit;
  work: ComponentWork;
}

export const mergeOverhead: Measurement = {
  name: "merge",
  isOnRequest: true,
  seconds: ({ pairs, messages }) =>
    (pairs + 1) * MESSAGE_SECONDS * messages.reduce((sum, each) => sum + each, 0),
  run: ({ pairs, messages: counts }, progress) =>
    withService(({ address }) =>
      withBareProver(async (prover) => {
        const body: Component[] = [];
        for (const group of MERGED) body.push(await withProof(prover, group));
        const node = await StreamNode.open(address, "bench");
        const rows: Row[] = [];
        const goals = [];
        for (const messages of counts) {
          for (const form of ["body", "block"] as const) {
            const proofs = body.slice(0, messages);
            const components = form === "body" ? proofs : [...proofs, ofProposer()];
            const what = `${messages} messages, ${form}`;
            const sides = {
              bare: bareSide(prover, components),
              service: sent(node, components),
            };
            const row = await comparePairs(sides, pairs, (done) =>
              progress(`${what}: ${done} of ${pairs} pairs`),
            );
            rows.push({ messages, form, ...row });
            // What was measured is not lost with what fails later.
            progress(`${what}: ${JSON.stringify(row)}`);
            const { addedMedianMs: value, addedErrorMs: error } = row;
            const added = `added to a merge of ${what}, median of ${pairs} pairs`;
            goals.push({ what: added, value, error, atMost: GOAL_MS, unit: " ms" });
          }
        }
        node.close();
        const explained = [...notes, "block: with the proposer's raw signature in the same call."];
        const title = "merge: submit to result over the bare call";
        return { title, rows, goals, notes: explained };
      }),
    ),
};

function sent(node: StreamNode, components: readonly Component[]): () => Promise<Took> {
  const group = { kind: ProofKind.MERGE, components: components.map((each) => each.sent) };
  return serviceSide(node, snapshot(SLOT, [group], keysOfBothRoles()));
}

const messageOf = (group: number) => ({ root: rootOf(group), slot: Number(dataOf(group).slot) });

/** The group's message with a proof of its first validators, made by the prover. */
async function withProof(prover: Prover, group: number): Promise<Component> {
  const message = messageOf(group);
  const votes = raws(group, 0, VALIDATORS);
  const validators = votes.map(({ validatorIndex }) => validatorIndex);
  const keys = concat(validators.map(publicKey));
  const signatures = concat(votes.map(({ signature }) => signature));
  const inputs = { message, keys, signatures, children: [], logInvRate: 0 };
  const proof = await prover.prove(foldOfAll(prover.description, inputs));
  const child = { index: 0, validators, keys, proof };
  return {
    sent: proofComponent(group, VALIDATORS, proof),
    work: { message, from: { kind: "proof", child } },
  };
}

function ofProposer(): Component {
  const [vote] = raws(BLOCK, PROPOSER, PROPOSER + 1);
  if (vote === undefined) throw new Error("the vectors have no signature of the proposer");
  const own = {
    validators: [PROPOSER],
    keys: publicKey(PROPOSER),
    signatures: vote.signature,
  };
  return {
    sent: proposerComponent(BLOCK),
    work: { message: messageOf(BLOCK), from: { kind: "raws", raws: own } },
  };
}

function bareSide(prover: Prover, components: readonly Component[]): () => Promise<Took> {
  const merge: MergeWork = {
    kind: "merge",
    components: components.map(({ work }) => work),
    leftOut: [],
    logInvRate: 0,
  };
  const job = mergeJob(merge);
  return async () => {
    const startedMs = performance.now();
    for (const { message, from } of merge.components) {
      const isGood =
        from.kind === "proof"
          ? await prover.verify(foldedProof(message, from.child))
          : (await prover.verifySignatures({ ...message, ...from.raws })).every(
              (verdict) => verdict === "ok",
            );
      if (!isGood) throw new Error("a component is bad");
    }
    const provingMs = performance.now();
    const bytes = await prover.prove(job);
    const proveMs = performance.now() - provingMs;
    if (!(await prover.verify({ kind: "merge", bytes, claims: job.wanted })))
      throw new Error("a bad proof");
    return { totalMs: performance.now() - startedMs, proveMs };
  };
}
