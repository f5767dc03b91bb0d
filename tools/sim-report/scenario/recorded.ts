/**
 * A recording of `serve --record` as a scenario: who submitted what when, with its budgets and
 * steps, and what the proofs took. Nothing of it is trusted.
 */
import { basename } from "node:path";
import { bitsToIndices } from "../../../proto/bitlist.js";
import type {
  Group,
  SubmitSnapshotRequest,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  BusyPolicy,
  PartialPolicy,
  ProofKind,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { attestationDataRoot } from "../../../server/admission/attestation-data.js";
import { participantsOf } from "../../../server/admission/participants.js";
import { Refusal } from "../../../server/errors.js";
import { limits } from "../../../server/limits.js";
import type { RecordedSubmission } from "../../../server/recording/read-recording.js";
import { readRecording, RecordingError } from "../../../server/recording/read-recording.js";
import type { OutcomeRecord } from "../../../server/recording/records.js";
import type { Step } from "../../../server/work/submission.js";
import type { GroupSpec } from "./group-spec.js";
import { shapeOfGroup } from "./group-spec.js";
import type { RecordedProof } from "./recorded-truth.js";
import { RecordedTruth } from "./recorded-truth.js";
import type { Priority, Scenario, SnapshotSpec } from "./scenario.js";
import { AS_RECORDED } from "./scenario.js";

/** Provers are up, and devices learned, before the first snapshot comes. */
const FIRST_AT_MS = 10_000;
/** Share of the time that lets the service learn its devices, and is not judged. */
const LEARNING = 0.2;
const LANES_MAX = 64;

/** Throws `RecordingError` when the recording is wrong or has nothing to prove. */
export function recordedScenario(folder: string, seed: number): Scenario {
  const { submissions, outcomes, devices } = collect(folder);
  const [first] = submissions;
  if (first === undefined) throw new RecordingError(`${folder} has no snapshot`);
  const startMs = first.atMs - FIRST_AT_MS;
  const all = submissions.map((each) => ({ each, groups: groupsOf(folder, each.request) }));
  const proofs = all.flatMap(({ each, groups }) =>
    groups.flatMap((group, at) => proofOf(group, outcomes.get(keyOf(each, at)))),
  );
  const snapshots = all.flatMap(({ each, groups }) => {
    const provable = groups.filter(isProvable);
    return provable.length === 0 ? [] : [snapshotOf(each, provable, each.atMs - startMs)];
  });
  const then = all.flatMap(({ each, groups }) =>
    groups.flatMap((group, at) =>
      isProvable(group) ? [endingOf(each, outcomes.get(keyOf(each, at)))] : [],
    ),
  );
  const [head] = snapshots;
  if (head === undefined) throw new RecordingError(`${folder} has nothing to prove`);
  const lanes = Math.min(LANES_MAX, Math.max(1, devices));
  const truth = new RecordedTruth(proofs, lanes, seed);
  const costs = snapshots.flatMap((each) => each.groups.map((group) => truth.wholeMs(0, group)));
  const lastAtMs = Math.max(...snapshots.map(({ atMs }) => atMs));
  return {
    workload: `recorded: ${basename(folder)}`,
    ...{ seed, lanes, snapshots, truth },
    typicalMs: costs.reduce((sum, ms) => sum + ms, 0) / costs.length,
    budgetOverCost: AS_RECORDED,
    judgedFromMs: head.atMs + LEARNING * (lastAtMs - head.atMs),
    endMs: lastAtMs + 2 * Math.max(...snapshots.map(({ fenceMs }) => fenceMs)),
    flooder: undefined,
    then,
    leftOut: leftOutOf(submissions),
  };
}

/** What the judge does not run as it was: it schedules folds, all of one proof system and rate. */
function leftOutOf(submissions: readonly RecordedSubmission[]): string[] {
  const requests = submissions.map(({ request }) => request);
  const groups = requests.flatMap(({ snapshot }) => snapshot?.groups ?? []);
  const merges = groups.filter(({ kind }) => kind === ProofKind.MERGE).length;
  const systems = new Set(
    requests.map(({ proofSystem: { scheme = "", revision = "", logInvRate = 0 } = {} }) =>
      [scheme, revision, logInvRate].join(),
    ),
  );
  return [
    ...(merges === 0 ? [] : [`${merges} merges are left out`]),
    ...(systems.size < 2 ? [] : [`proofs of ${systems.size} systems or rates are taken as one`]),
  ];
}

/** In the order of their instants; a request that came again once. */
function collect(folder: string) {
  const submissions: RecordedSubmission[] = [];
  const outcomes = new Map<string, OutcomeRecord>();
  const seen = new Set<string>();
  let devices = 1;
  for (const each of readRecording(folder)) {
    if (each.kind === "recording") devices = Math.max(devices, each.devices);
    if (each.kind === "outcome") outcomes.set(keyOf(each, each.group), each);
    if (each.kind !== "submission") continue;
    const key = keyOf(each, 0);
    if (each.answer === "accepted" && seen.has(key)) continue;
    seen.add(key);
    submissions.push(each);
  }
  return { submissions: submissions.sort((a, b) => a.atMs - b.atMs), outcomes, devices };
}

const keyOf = ({ node, requestId }: { node: string; requestId: string }, group: number) =>
  `${node}/${requestId}/${group}`;

/** In the words of `AskResult`. */
function endingOf({ answer, reason }: RecordedSubmission, outcome: OutcomeRecord | undefined) {
  if (answer === "skipped") return `skipped ${reason}`;
  if (outcome === undefined) return "without an outcome";
  return `${outcome.status.replace("_late", "")} ${outcome.reason}`.trim();
}

function snapshotOf(
  { node, request, deadlineMs, fenceMs }: RecordedSubmission,
  groups: readonly GroupSpec[],
  atMs: number,
): SnapshotSpec {
  const mayShed = request.partialPolicy !== PartialPolicy.FORBID;
  const steps = stepsOf(request, atMs, fenceMs);
  const slot = Number(request.snapshot?.slot ?? 0n) % 2 ** 32;
  const budgets = { deadlineMs, fenceMs, steps };
  const shouldReplace = request.busyPolicy === BusyPolicy.REPLACE;
  const minInputs = Math.max(1, request.minInputs);
  const rules = { mayShed, shouldReplace, minInputs };
  return { atMs, node, slot, priority: priorityOf(request), ...budgets, ...rules, groups };
}

/** Nothing is worth anything at the fence or later. */
function stepsOf({ steps }: SubmitSnapshotRequest, atMs: number, fenceMs: number): Step[] {
  if (steps.length === 0) return [{ untilAtMs: atMs + fenceMs, weight: 1 }];
  return steps.map(({ untilMs, weight }) => ({
    untilAtMs: atMs + Math.min(untilMs, fenceMs),
    weight,
  }));
}

function priorityOf({ priority }: SubmitSnapshotRequest): Priority {
  return priority === 1 || priority === 3 ? priority : 2;
}

function groupsOf(folder: string, { snapshot }: SubmitSnapshotRequest): GroupSpec[] {
  const isSsz = snapshot?.sszBitlists ?? false;
  const slot = Number(snapshot?.slot ?? 0n) % 2 ** 32;
  try {
    const folds = (snapshot?.groups ?? []).filter(({ kind }) => kind !== ProofKind.MERGE);
    const groups = folds.slice(0, limits.groupsMax);
    return groups.map((group, at) => groupOf(group, { field: `groups[${at}]`, isSsz, slot }));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new RecordingError(`${folder}: a snapshot is wrong: ${error.message}`, { cause: error });
  }
}

/** As the service sees it: each validator once, and none raw that a child has. */
function groupOf(
  group: Group,
  { field, isSsz, slot }: { field: string; isSsz: boolean; slot: number },
): GroupSpec {
  const root = Buffer.from(attestationDataRoot(group.data, field)).toString("hex");
  const { validatorsMax } = limits;
  const children = group.children.map(({ participants }, at) => {
    const where = `${field}.children[${at}].participants`;
    return bitsToIndices(participantsOf(participants, where, { isSsz, validatorsMax }).bits);
  });
  const inChildren = new Set(children.flat());
  const signed = group.rawSignatures.map(({ validatorIndex }) => validatorIndex);
  const raws = [...new Set(signed)].filter(
    (validator) => validator < validatorsMax && !inChildren.has(validator),
  );
  return { root, slot, raws, children };
}

const isProvable = ({ raws, children }: GroupSpec) => raws.length > 0 || children.length >= 2;

function proofOf(group: GroupSpec, outcome: OutcomeRecord | undefined): RecordedProof[] {
  if (outcome === undefined || outcome.proveMs < 1 || outcome.raws + outcome.children === 0) {
    return [];
  }
  const whole = shapeOfGroup(group);
  const shape = {
    raws: Math.min(outcome.raws, whole.raws),
    children: Math.min(outcome.children, whole.children),
  };
  return [{ root: group.root, shape, proveMs: outcome.proveMs }];
}
