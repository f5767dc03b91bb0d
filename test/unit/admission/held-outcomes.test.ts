/** What a node's record holds of outcomes without proofs counts in the memory budget, and is released with them. */
import { expect, test } from "vitest";
import { create } from "@bufbuild/protobuf";
import { AttestationDataSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { bytesToHold } from "../../../server/admission/bytes-to-hold.js";
import { limits } from "../../../server/limits.js";
import { toOutcome } from "../../../server/session/outcome.js";
import type { Ending } from "../../../server/session/session-state.js";
import type { DecodedGroup, LeftOut } from "../../../server/work/group.js";
import { keptBytes, keptBytesMin } from "../../../server/work/outcome-bytes.js";
import { heldOnceEnded } from "../../helpers/held-bytes.js";
import { description, groupOfMerge, groupOfRaws, TestScheduler } from "../../helpers/scheduler.js";

const ROOM = 1_000_000;
/** The scheduler's budget. */
const BUDGET = 1e9;

/** Ends at once, without a proof. */
function overLimit(at: number): DecodedGroup {
  return { ...groupOfRaws(`over ${at}`, 0), isOverLimit: true };
}

function leftOutOf(count: number): LeftOut[] {
  return Array.from({ length: count }, (_, validatorIndex) => ({
    reason: "bad_signature",
    input: { kind: "raw", validatorIndex },
    digest: new Uint8Array(32),
  }));
}

function schedulerWithRoom(room = ROOM): TestScheduler {
  const scheduler = new TestScheduler(["a"]);
  scheduler.announceIdle("a", 1);
  expect(scheduler.memory.reserve(BUDGET - room)).toBeDefined();
  return scheduler;
}

const principal = { name: "many nodes", quota: {} };

test("outcomes without proofs, of however many nodes of a principal, fit in the budget", () => {
  const scheduler = schedulerWithRoom();
  const answers = Array.from({ length: limits.nodesMax }, (_, at) =>
    scheduler.submit(`node-${at}`, overLimit(at), { principal }),
  );
  const accepted = answers.filter(({ kind }) => kind === "accepted").length;
  const held = heldOnceEnded(accepted, accepted);
  expect(scheduler.memory.heldBytes).toBe(BUDGET - ROOM + held);
  expect(accepted).toBeGreaterThan(100);
  expect(answers.at(-1)).toMatchObject({ kind: "skipped", reason: "overloaded" });
  // One more has to fit with its groups, as it was sent.
  expect(held + bytesToHold({ bytes: 1000, groups: [overLimit(0)] })).toBeGreaterThan(ROOM);

  // What was promised is there until its retention ends; then there is room again.
  expect(scheduler.outcomes("node-0")).toHaveLength(1);
  scheduler.clock.standStill(6400 + limits.retentionMs);
  scheduler.admission.expire();
  expect(scheduler.memory.heldBytes).toBe(BUDGET - ROOM);
  expect(scheduler.submit("node-0", overLimit(0), { principal }).kind).toBe("accepted");
});

test("they count in the quota of their principal, and in no other's", () => {
  const scheduler = schedulerWithRoom();
  const oneBytes = bytesToHold({ bytes: 1000, groups: [overLimit(0)] });
  const quota = { heldBytes: oneBytes + heldOnceEnded(3, 3) };
  const submit = (at: number, name: string) =>
    scheduler.submit(`node-${at}`, overLimit(at), { principal: { name, quota } }).kind;
  const kinds = Array.from({ length: 5 }, (_, at) => submit(at, "one"));
  expect(kinds).toEqual([...Array<string>(4).fill("accepted"), "skipped"]);
  expect(submit(5, "other")).toBe("accepted");
});

test("those that a node's record forgets are released before their retention ends", () => {
  const scheduler = schedulerWithRoom(BUDGET);
  const max = limits.requestIdsMax;
  for (let at = 0; at < max + 10; at++) {
    scheduler.submit("node", overLimit(at));
    scheduler.admission.expire();
    const requests = Math.min(at + 1, max);
    expect(scheduler.memory.heldBytes).toBe(heldOnceEnded(requests, requests));
  }
});

const fold: DecodedGroup = { ...groupOfRaws("fold", 3), data: create(AttestationDataSchema) };
const wide = { ...fold, sszLength: limits.validatorsMax };
const proof = new Uint8Array(limits.proofBytesMax);
const all = Array.from({ length: limits.validatorsMax }, (_, at) => at);
const named = { ...fold, work: { ...fold.work, leftOut: leftOutOf(2) } };

const endings: [string, DecodedGroup, Ending][] = [
  ["not started", named, { kind: "not_started", reason: "set_aside" }],
  ["of too few inputs", fold, resultOf({ kind: "too_few_inputs", inputs: 3, leftOut: [] })],
  ["rejected, with every input named", fold, resultOf({ kind: "rejected", leftOut: leftOutOf(3) })],
  [
    "failed, with the longest detail",
    fold,
    resultOf({
      kind: "failed",
      reason: "prover_error",
      detail: "é".repeat(limits.proverErrorLengthMax),
      deaths: 2,
    }),
  ],
  [
    "proved, with the largest proof for every validator",
    wide,
    resultOf({
      kind: "proved",
      proof,
      validators: all,
      childrenFolded: [],
      leftOut: leftOutOf(3),
      proveMs: 1,
    }),
  ],
  [
    "a merge",
    groupOfMerge("merge", { raws: 2, proofs: 3 }),
    { kind: "stopped", reason: "fence", attempt: 1 },
  ],
];

function resultOf(result: Extract<Ending, { kind: "result" }>["result"]): Ending {
  return { kind: "result", result, attempt: 1, isLate: false };
}

test.each(endings)("what was reserved holds an outcome: %s", (_, decoded, ending) => {
  const { outcome } = toOutcome({
    requestId: "request",
    slot: 1n,
    groupIndex: 0,
    decoded,
    ending,
    description,
    queueMs: 0,
    attempts: 1,
    steps: [],
    endedAtMs: 0,
  });
  const held = outcome.proof.length + keptBytes(outcome);
  expect(held).toBeGreaterThanOrEqual(keptBytesMin(decoded));
  expect(limits.recordBytes + held).toBeLessThanOrEqual(
    bytesToHold({ bytes: 0, groups: [decoded] }),
  );
});

test("left-out inputs, claims, participants, children and details of an outcome count", () => {
  const of = (decoded: DecodedGroup, ending: Ending) => {
    const rest = { requestId: "", slot: 1n, groupIndex: 0, description, queueMs: 0, attempts: 1 };
    return keptBytes(toOutcome({ ...rest, decoded, ending, steps: [], endedAtMs: 0 }).outcome);
  };
  const own = limits.outcomeBytes;
  const [rejected, failed] = ["rejected", "failed"] as const;
  expect(of(fold, resultOf({ kind: rejected, leftOut: leftOutOf(1000) }))).toBe(
    own + 1000 * limits.leftOutBytes,
  );
  const failure = {
    kind: failed,
    reason: "prover_error",
    detail: "0123456789",
    deaths: 1,
  } as const;
  expect(of(fold, resultOf(failure))).toBe(own + 20);
  const validators = all.slice(0, 16);
  const proved = { kind: "proved", proof, validators, leftOut: [], proveMs: 1 } as const;
  expect(of(fold, resultOf({ ...proved, childrenFolded: [0, 1, 2] }))).toBe(own + 2 + 3 * 8);
  const merge = groupOfMerge("merge", { raws: 0, proofs: 2, votes: 8 });
  expect(of(merge, { kind: "stopped", reason: "fence", attempt: 1 })).toBe(
    own + 2 * (limits.claimBytes + 1),
  );
});
