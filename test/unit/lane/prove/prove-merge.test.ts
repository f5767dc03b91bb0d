/** A merge is proved whole, for the claims of its components in their order, or not at all. */
import { beforeEach, expect, test } from "vitest";
import { sha256 } from "../../../../server/bytes.js";
import { proveGroup } from "../../../../server/lane/prove/prove-group.js";
import { startFakeProver } from "../../../../server/prover/fake/fake.js";
import type { ProofJob, Prover } from "../../../../server/prover/prover.js";
import { claimsOf } from "../../../../server/work/group.js";
import type { ComponentWork, MergeWork, ProofResult } from "../../../../server/work/group.js";
import { fakeMerge } from "../../../../tools/harness/fake-merge.js";

let prover: Prover;
let jobs: ProofJob[];
/** What the prover makes of its proofs before it returns them. */
let spoil: (proof: Uint8Array) => Uint8Array;

beforeEach(() => {
  prover = startFakeProver({ proveMs: () => 0, sleep: () => Promise.resolve() });
  [jobs, spoil] = [[], (proof) => proof];
});

function prove(work: MergeWork, whyNot?: "predicted_miss"): Promise<ProofResult> {
  return proveGroup(work, {
    description: prover.description,
    verifier: {
      deaths: 0,
      verify: (proof) => prover.verify(proof),
      verifySignatures: (raws) => prover.verifySignatures(raws),
    },
    verifiedBy: () => "standby",
    minInputs: 99,
    choosePart: () => "memory",
    whyNotMerge: () => whyNot,
    prove: async (job) => {
      jobs.push(job);
      return { proof: spoil(await prover.prove(job)), proveMs: 12 };
    },
  });
}

const body = () =>
  fakeMerge([
    { from: "proof", validators: 3 },
    { from: "raws", validators: 1, first: 3 },
    { from: "proof", validators: 2, first: 1 },
  ]);

/** The work with a component in place of the one at this index. */
const withComponent = (work: MergeWork, at: number, component: ComponentWork): MergeWork => ({
  ...work,
  components: work.components.with(at, component),
});

/** The work with one bit of this component's first signature or proof changed. */
function broken(work: MergeWork, at: number): MergeWork {
  const component = work.components[at];
  if (component === undefined) throw new Error(`there is no component ${at}`);
  const { message, from } = component;
  const flipped = (bytes: Uint8Array) => bytes.with(9, (bytes[9] ?? 0) ^ 1);
  if (from.kind === "proof") {
    const child = { ...from.child, proof: flipped(from.child.proof) };
    return withComponent(work, at, { message, from: { kind: "proof", child } });
  }
  const raws = { ...from.raws, signatures: flipped(from.raws.signatures) };
  return withComponent(work, at, { message, from: { kind: "raws", raws } });
}

test("proofs and raw signatures become one proof of exactly their claims, in their order", async () => {
  const work = await body();
  const result = await prove(work);
  expect(result).toMatchObject({
    kind: "proved",
    validators: [],
    childrenFolded: [],
    leftOut: [],
    proveMs: 12,
    verifiedBy: "standby",
  });
  if (result.kind !== "proved") return;
  const claims = claimsOf(work);
  const attests = (each: typeof claims) =>
    prover.verify({ kind: "merge", bytes: result.proof, claims: each });
  expect(await attests(claims)).toBe(true);
  expect(await attests(claims.toReversed())).toBe(false);
  expect(await attests(claims.slice(1))).toBe(false);
  expect(jobs).toHaveLength(1);
  expect(jobs[0]).toMatchObject({ kind: "merge", wanted: claims, logInvRate: 0 });
  expect(jobs[0]?.raws).toHaveLength(1);
  expect(jobs[0]?.children).toHaveLength(2);
});

test("the least a merge may ask for does not apply: its components are all that there is", async () => {
  const one = await fakeMerge([{ from: "raws", validators: 1 }]);
  expect((await prove(one)).kind).toBe("proved");
});

test("every bad component is named once, by its first bad input, and nothing is proved", async () => {
  const work = broken(broken(await body(), 2), 1);
  const bad = [1, 2].map((at) => work.components[at]?.from);
  const digests = bad.map((from) =>
    sha256((from?.kind === "raws" ? from.raws.signatures : from?.child.proof) ?? new Uint8Array()),
  );
  expect(await prove(work)).toEqual({
    kind: "rejected",
    leftOut: [
      {
        reason: "bad_signature",
        input: { kind: "component", componentIndex: 1 },
        digest: digests[0],
      },
      { reason: "bad_child", input: { kind: "component", componentIndex: 2 }, digest: digests[1] },
    ],
  });
  expect(jobs).toEqual([]);
});

test("a signature for another slot is named as one at the wrong leaf", async () => {
  const work = await body();
  const component = work.components[1];
  if (component === undefined) throw new Error("there is no component 1");
  const later = { ...component, message: { ...component.message, slot: 8 } };
  const result = await prove(withComponent(work, 1, later));
  expect(result).toMatchObject({ kind: "rejected", leftOut: [{ reason: "wrong_leaf" }] });
});

test("what decoding left out rejects the rest unproved, and is not named again", async () => {
  const input = { kind: "component", componentIndex: 3 } as const;
  const unknown = { reason: "unknown_key", input, digest: new Uint8Array(32) } as const;
  const work: MergeWork = { ...(await body()), leftOut: [unknown] };
  expect(await prove(work)).toEqual({ kind: "rejected", leftOut: [] });
  expect(jobs).toEqual([]);
});

test("a merge that may not start says why", async () => {
  const result = await prove(await body(), "predicted_miss");
  expect(result).toEqual({ kind: "not_started", reason: "predicted_miss", leftOut: [] });
  expect(jobs).toEqual([]);
});

test("a merged proof that does not verify is not delivered", async () => {
  spoil = (proof) => proof.with(0, 0);
  const result = await prove(await body());
  expect(result).toMatchObject({ kind: "failed", reason: "prover_error", deaths: 0 });
});
