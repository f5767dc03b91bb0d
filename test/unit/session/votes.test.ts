/** What became of each vote of a group, however the group ended. */
import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeSszBitlist, indicesToBits } from "../../../proto/bitlist.js";
import { Priority, SnapshotSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { decodeSnapshot } from "../../../server/admission/decode-snapshot.js";
import { proveGroup } from "../../../server/lane/prove/prove-group.js";
import { voteSeries } from "../../../server/metrics/vote-labels.js";
import { voteFates } from "../../../server/reasons.js";
import type { VoteFate } from "../../../server/reasons.js";
import { resultFor } from "../../../server/schedule/attempt/shared-result.js";
import { toOutcome } from "../../../server/session/outcome.js";
import type { Ending } from "../../../server/session/session-state.js";
import { noVotes, sumOfVotes, toVotes, votesByFate } from "../../../server/session/votes.js";
import type { DecodedGroup, FoldWork, LeftOut, MergeWork } from "../../../server/work/group.js";
import { choosePart } from "../../../server/work/parts.js";
import { description } from "../../helpers/scheduler.js";
import { inventedData } from "../../../tools/harness/wire/contract.js";
import { decodedGroup } from "../../../tools/harness/decoded-group.js";
import { keyTable, snapshot } from "../../../tools/harness/vectors.js";
import type { GroupInit } from "../../../tools/harness/vectors.js";
import { foldOf } from "../../../tools/harness/decoded-group.js";

const sizes = {
  publicKeyBytes: 32,
  signatureBytes: 64,
  proofBytesMax: 4,
  scheme: "s",
  revision: "r",
};
const few = {
  groupsMax: 1,
  groupsSentMax: 2,
  validatorsMax: 16,
  inputsMax: 64,
  participantsMax: 256,
  childrenMax: 3,
  messagesMax: 3,
};
const KNOWN = 8;

function decoded(groups: GroupInit[], sszBitlists = false): DecodedGroup[] {
  const sent = Object.assign(snapshot(100, groups, keyTable(KNOWN)), { sszBitlists });
  return decodeSnapshot(
    create(SnapshotSchema, sent),
    { logInvRate: 0, priority: Priority.AGGREGATION },
    { ...sizes, ...few },
  );
}

/** How the prover finds the inputs, by a number of each, and which parts are in time. */
interface Fortune {
  verdicts: readonly number[];
  fitsUpTo: number;
  mayShed: boolean;
  minInputs: number;
  outcome: "prove" | "deadline" | "fail";
}

const signatureVerdicts = ["ok", "ok", "ok", "wrong_leaf", "bad_signature"] as const;

/** The ending of a group whose attempt the lane has made. */
async function attempted(group: DecodedGroup, fortune: Fortune): Promise<Ending> {
  const { verdicts, fitsUpTo, mayShed, minInputs, outcome } = fortune;
  const verdict = (at: number) => verdicts[at % verdicts.length] ?? 0;
  const description = {
    ...sizes,
    backend: "b",
    revision: "r",
    childrenMax: 0,
    messagesMax: 8,
    rates: 0,
    fake: true,
  };
  const result = await proveGroup(group.work, {
    description,
    minInputs,
    verifiedBy: () => "standby",
    verifier: {
      deaths: 0,
      verifySignatures: () =>
        Promise.resolve(
          foldOf(group.work).raws.validators.map(
            (_, at) => signatureVerdicts[verdict(at) % 5] ?? "ok",
          ),
        ),
      verify: ({ bytes }) => Promise.resolve(bytes.length === 4 || verdict(bytes[0] ?? 0) % 3 > 0),
    },
    whyNotMerge: () => undefined,
    choosePart: (raws, children) =>
      outcome === "deadline"
        ? outcome
        : (choosePart({
            raws: raws.validators,
            children: children.map(({ validators }) => validators),
            rotation: 0.4,
            mayShed,
            prospectOf: ({ raws: kept, children: folded }) => {
              const isInTime = kept + 3 * folded <= fitsUpTo;
              return { weight: isInTime ? 1 : 0.1, chance: isInTime ? 1 : 0.1 };
            },
            leastChance: verdict(0) % 2 === 0 ? 0.1 : 0.5,
          }) ?? "predicted_miss"),
    prove: () => Promise.resolve({ proof: new Uint8Array(4), proveMs: 1 }),
  });
  const failed = { kind: "failed", reason: "prover_died", detail: "", deaths: 1 } as const;
  const own = resultFor(group.work, group.work, outcome === "fail" ? failed : result);
  return { kind: "result", result: own, isLate: verdict(1) % 2 === 0, attempt: 1 };
}

const validator = fc.integer({ min: 0, max: KNOWN + 2 });
const raws = fc.array(
  fc.record({ validatorIndex: validator, bytes: fc.constantFrom(64, 64, 64, 3), fill: fc.nat(2) }),
  { maxLength: 14 },
);
const children = fc.array(
  fc.record({
    validators: fc.uniqueArray(validator, { maxLength: 6 }),
    bytes: fc.integer({ min: 0, max: 5 }),
    revision: fc.constantFrom("", "r", "r2"),
  }),
  { maxLength: 5 },
);
const ending = fc.oneof<fc.Arbitrary<Ending | Fortune>[]>(
  fc.constantFrom<Ending>(
    { kind: "not_started", reason: "superseded" },
    { kind: "not_started", reason: "set_aside" },
    { kind: "stopped", reason: "fence", attempt: 1 },
    { kind: "stopped", reason: "preempted", attempt: 1 },
  ),
  fc.record<Fortune>({
    verdicts: fc.array(fc.nat(20), { minLength: 1, maxLength: 6 }),
    fitsUpTo: fc.nat(8),
    mayShed: fc.boolean(),
    minInputs: fc.constantFrom(1, 1, 3, 5),
    outcome: fc.constantFrom("prove", "prove", "prove", "deadline", "fail"),
  }),
);

const steps = [
  { untilAtMs: 100, weight: 9 },
  { untilAtMs: 500, weight: 4 },
];
const ended = {
  ...{ requestId: "r", slot: 1n, groupIndex: 0, description },
  ...{ queueMs: 0, attempts: 1, steps, endedAtMs: 100 },
};
const series = voteSeries().map((labels) => JSON.stringify(labels));

test("the fates of all votes add up to the validators of the group as submitted", async () => {
  const seen = new Set<VoteFate>();
  await fc.assert(
    fc.asyncProperty(raws, children, ending, fc.boolean(), async (sent, of, how, isSsz) => {
      const bits = (of: readonly number[]) =>
        isSsz ? encodeSszBitlist(of, 16) : indicesToBits(of);
      const group = {
        rawSignatures: sent.map(({ validatorIndex, bytes, fill }) => ({
          validatorIndex,
          signature: new Uint8Array(bytes).fill(fill),
        })),
        children: of.map(({ validators, bytes, revision }, at) => ({
          participants: bits(validators),
          proof: new Uint8Array(bytes).fill(at),
          proofSystem: { revision },
        })),
      };
      // One signature and one child of the right sizes: a snapshot without any is refused.
      const good = {
        rawSignatures: [
          ...group.rawSignatures,
          { validatorIndex: 0, signature: new Uint8Array(64) },
        ],
        children: group.children,
      };
      const groups = [good, good].map((each, n) => ({ data: inventedData(n), ...each }));
      const validators = new Set([
        ...good.rawSignatures.map(({ validatorIndex }) => validatorIndex),
        ...of.flatMap((child) => child.validators),
      ]);
      for (const each of decoded(groups, isSsz)) {
        const overLimit: Ending = { kind: "not_started", reason: "limit" };
        const itsHow = each.isOverLimit ? overLimit : how;
        const end = "kind" in itsHow ? itsHow : await attempted(each, itsHow);
        const fates = votesByFate(each, end);
        for (const fate of fates.keys()) seen.add(fate);
        const sum = [...fates.values()].reduce((total, count) => total + count, 0);
        expect([each.votes, sum]).toEqual([validators.size, validators.size]);
        const { counted, votes } = toOutcome({ ...ended, decoded: each, ending: end });
        const labelled = counted.map(({ labels }) => JSON.stringify(labels));
        expect(series, "every combination of labels exists from the start").toEqual(
          expect.arrayContaining(labelled),
        );
        expect(new Set(labelled).size).toBe(labelled.length);
        expect(counted.reduce((total, { count }) => total + count, 0)).toBe(validators.size);
        const inMessage = Object.values(votes).flat().filter(Number.isInteger).map(Number);
        expect(inMessage.reduce((total, count) => total + count, 0)).toBe(validators.size);
        if (each.isOverLimit || end.kind !== "result" || end.result.kind !== "proved") continue;
        const proved = (fates.get("proved") ?? 0) + (fates.get("proved_late") ?? 0);
        expect(proved).toBe(end.result.validators.length);
      }
    }),
    { numRuns: 400 },
  );
  expect([...seen].sort(), "every fate occurs").toEqual([...voteFates].sort());
});

const REASONS = [
  "bad_signature",
  "wrong_leaf",
  "unknown_key",
  "bad_child",
  "other_system",
] as const;
/** How a merge of some components ends, by the indices of its bad ones. */
const mergeEnding = (bad: readonly number[], how: number): Ending => {
  const leftOut = bad.map((componentIndex, at): LeftOut => {
    const reason = REASONS[at % REASONS.length] ?? "bad_child";
    return { reason, input: { kind: "component", componentIndex }, digest };
  });
  const proved = { kind: "proved", proof: digest, childrenFolded: [], proveMs: 1 } as const;
  if (leftOut.length > 0) return result({ kind: "rejected", leftOut });
  switch (how % 5) {
    case 0:
      return { kind: "not_started", reason: "superseded" };
    case 1:
      return { kind: "stopped", reason: "fence", attempt: 1 };
    case 2:
      return result({ kind: "failed", reason: "prover_died", detail: "", deaths: 1 });
    default:
      return result({ ...proved, validators: [], leftOut: [] }, how % 5 === 3);
  }
};

test("the fates of a merge add up to the votes of its components, a bad one's by its first reason", () => {
  const mergeVotes = fc.array(fc.integer({ min: 1, max: 4096 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(mergeVotes, fc.array(fc.nat(7), { maxLength: 5 }), fc.nat(4), (of, some, how) => {
      const bad = some.filter((index) => index < of.length);
      const group = { ...decodedGroup(mergeWork), claimVotes: of, votes: sum(of) };
      const end = mergeEnding(bad, how);
      const fates = votesByFate(group, end);
      expect(sum([...fates.values()])).toBe(sum(of));
      for (const reason of REASONS) {
        const own = of.filter(
          (_, index) => REASONS[bad.indexOf(index) % REASONS.length] === reason,
        );
        expect(fates.get(reason) ?? 0, reason).toBe(sum(own));
      }
      if (bad.length > 0) expect(fates.get("proved"), "all or nothing").toBeUndefined();
      else expect(fates.size, "one fate").toBe(1);
      const { votes } = toOutcome({ ...ended, decoded: group, ending: end });
      const inMessage = Object.values(votes).flat().filter(Number.isInteger).map(Number);
      expect(sum(inMessage)).toBe(sum(of));
    }),
    { numRuns: 400 },
  );
});

const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);

const digest = new Uint8Array(32);
const mergeWork: MergeWork = { kind: "merge", components: [], leftOut: [], logInvRate: 0 };
const raw = (reason: LeftOut["reason"], validatorIndex: number): LeftOut => {
  return { reason, input: { kind: "raw", validatorIndex }, digest };
};
const child = (reason: LeftOut["reason"], childIndex: number): LeftOut => {
  return { reason, input: { kind: "child", childIndex }, digest };
};
const result = (of: Extract<Ending, { kind: "result" }>["result"], isLate = false): Ending => {
  return { kind: "result", result: of, isLate, attempt: 1 };
};
/** Validators 0 to 2 with raw signatures, and 2 and 3 in a child. */
const work: FoldWork = {
  kind: "fold",
  message: { root: digest, slot: 1 },
  raws: { validators: [0, 1, 2], keys: digest, signatures: digest },
  children: [{ index: 0, validators: [2, 3], keys: digest, proof: digest }],
  leftOut: [],
  logInvRate: 0,
};
const proof = { kind: "proved", proof: digest, childrenFolded: [], proveMs: 1 } as const;

test.each<[string, Ending, Partial<Record<VoteFate, number>>]>([
  [
    "proved: a vote in the proof counts so, though its raw signature is covered",
    result({ ...proof, validators: [0, 2, 3], leftOut: [raw("wrong_leaf", 1), raw("covered", 2)] }),
    { proved: 3, wrong_leaf: 1 },
  ],
  [
    "proved late, and a child shed whose other validator is in the proof",
    result({ ...proof, validators: [0, 1, 2], leftOut: [child("shed", 0)] }, true),
    { proved_late: 3, shed: 1 },
  ],
  [
    "proved: a vote in a shed child and with a bad signature is shed",
    result({
      ...proof,
      validators: [0, 1],
      leftOut: [raw("bad_signature", 2), child("shed", 0)],
    }),
    { proved: 2, shed: 2 },
  ],
  [
    "rejected: a vote with a bad signature in a bad child has the reason of its signature",
    result({
      kind: "rejected",
      leftOut: [0, 1, 2].map((v) => raw("bad_signature", v)).concat(child("bad_child", 0)),
    }),
    { bad_signature: 3, bad_child: 1 },
  ],
  [
    "rejected: votes in the good child are covered",
    result({ kind: "rejected", leftOut: [raw("bad_signature", 0), raw("bad_signature", 1)] }),
    { bad_signature: 2, covered: 2 },
  ],
  [
    "not started after its inputs were verified",
    result({ kind: "not_started", reason: "deadline", leftOut: [raw("bad_signature", 0)] }),
    { bad_signature: 1, not_started: 3 },
  ],
  [
    "too small for its request: what a child has is covered, and the rest was not started",
    result({ kind: "too_few_inputs", inputs: 2, leftOut: [raw("bad_signature", 1)] }),
    { bad_signature: 1, covered: 2, not_started: 1 },
  ],
  ["superseded", { kind: "not_started", reason: "superseded" }, { not_started: 4 }],
  ["fenced", { kind: "stopped", reason: "fence", attempt: 1 }, { stopped: 4 }],
  [
    "failed",
    result({ kind: "failed", reason: "prover_died", detail: "", deaths: 1 }),
    { failed: 4 },
  ],
])("a group that is %s", (_how, ending, expected) => {
  expect(Object.fromEntries(votesByFate(decodedGroup(work), ending))).toEqual(expected);
});

test("a good signature counts before another one of the validator that decoding left out", () => {
  const group = { ...decodedGroup(work), work: { ...work, leftOut: [raw("bad_signature", 0)] } };
  const superseded: Ending = { kind: "not_started", reason: "superseded" };
  expect(Object.fromEntries(votesByFate(group, superseded))).toEqual({ not_started: 4 });
});

test.each([
  [99, [31, 0, 0]],
  [100, [0, 31, 0]],
  [499, [0, 31, 0]],
  [500, [0, 0, 31]],
])("votes proved after %i ms are in the step of that instant", (readyAtMs, proved) => {
  const counts = new Map([["proved", 30] as const, ["proved_late", 1] as const]);
  expect(toVotes(counts, steps, readyAtMs)).toMatchObject({ proved, shed: 0 });
  expect(toVotes(counts, [], readyAtMs)).toMatchObject({ proved: [31, 0] });
});

test("the votes of groups add up field by field", () => {
  const one = toVotes(new Map(voteFates.map((fate, at) => [fate, at + 1])), [], 0);
  const sum = sumOfVotes(sumOfVotes(noVotes([]), one), one);
  const double = new Map(voteFates.map((fate, at) => [fate, 2 * at + 2]));
  expect(sum).toEqual(toVotes(double, [], 0));
});
