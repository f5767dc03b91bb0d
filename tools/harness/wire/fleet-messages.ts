/** One message of every kind between doors and lane hosts, with every field set in one of them. */
import type {
  Blob,
  FromHost,
  Owner,
  RemoteAssignment,
  RemoteResult,
  SharedPhase,
  SharedReport,
  ToDoor,
  ToHost,
  Verdict,
} from "../../../server/fleet/wire/messages.js";
import { blobOf } from "../../../server/fleet/wire/blobs.js";
import { encodeWork } from "../../../server/fleet/wire/codec.js";
import { freshCostModel } from "../../../server/work/costs/cost-model.js";
import type { FoldWork, MergeWork } from "../../../server/work/group.js";
import { inputDigest } from "../../../server/work/input-digest.js";
import type { ProverDescription } from "../../../server/work/prover-description.js";

export const hostRun = "00000000000000a0";
export const doorRun = "00000000000000d0";
const door: Owner = { id: "door-0", run: doorRun, attempt: 5 };
const elsewhere: Blob = { sha256: "ab".repeat(32), size: 600_000, inline: undefined };
/** `count` bytes that differ from those of another `first`. */
const filled = (count: number, first: number) => new Uint8Array(count).fill(first);

export const description: ProverDescription = {
  backend: "fake",
  scheme: "fake",
  revision: "fake-any-1",
  publicKeyBytes: 32,
  signatureBytes: 64,
  proofBytesMax: 524_288,
  childrenMax: 16,
  rawsMax: 400,
  rawsBesideMax: 8,
  separatesRaws: true,
  arities: 20,
  messagesMax: 8,
  rates: 14,
  fake: true,
  anySize: true,
};

const keys = (...validators: number[]) =>
  Uint8Array.from(validators.flatMap((validator) => [...filled(32, validator)]));

/** The work of three raw signatures and two children, of which one covers a raw signature. */
export const work: Omit<FoldWork, "leftOut"> = {
  kind: "fold",
  message: { root: filled(32, 7), slot: 100 },
  raws: { validators: [11, 12, 13], keys: keys(11, 12, 13), signatures: filled(3 * 64, 1) },
  children: [
    { index: 0, validators: [13, 14], keys: keys(13, 14), proof: filled(9, 2) },
    { index: 1, validators: [15], keys: keys(15), proof: filled(10, 3) },
  ],
  logInvRate: 2,
};
export const workDigest = inputDigest(work, description);

/** The merge of a message with two raw signatures and of one with a proof. */
export const merge: Omit<MergeWork, "leftOut"> = {
  kind: "merge",
  components: [
    {
      message: { root: filled(32, 8), slot: 101 },
      from: {
        kind: "raws",
        raws: { validators: [11, 12], keys: keys(11, 12), signatures: filled(2 * 64, 1) },
      },
    },
    {
      message: { root: filled(32, 7), slot: 100 },
      from: {
        kind: "proof",
        child: { index: 1, validators: [11, 13], keys: keys(21, 13), proof: filled(9, 2) },
      },
    },
  ],
  logInvRate: 2,
};
export const mergeDigest = inputDigest(merge, description);

const phases: readonly SharedPhase[] = [
  { kind: "starting", isCalibrating: true },
  { kind: "starting", isCalibrating: false },
  { kind: "idle" },
  {
    kind: "proving",
    digest: workDigest,
    owners: [door, { id: "door_1", run: hostRun, attempt: Number.MAX_SAFE_INTEGER }],
    fenceInMs: 4000.5,
    proof: { ranMs: 12.25, shape: { raws: 3, children: 2, logInvRate: 1 } },
  },
  {
    kind: "proving",
    digest: mergeDigest,
    owners: [],
    fenceInMs: 1,
    proof: { ranMs: 1, shape: { raws: 2, children: 1, messages: 2 } },
  },
  { kind: "proving", digest: workDigest, owners: [], fenceInMs: 0, proof: null },
  { kind: "stopping", cause: "wedged" },
  { kind: "failed", cause: "no library: Ünicode", retryInMs: 600_000 },
];

export const report: SharedReport = {
  lease: 17,
  phase: { kind: "idle" },
  isDrained: true,
  isRestartDue: true,
  isStandbyReady: true,
  isRefreshing: true,
  standbyCause: "not enough memory",
  provers: [
    { role: "active", pid: 1234, isReady: true, residentBytes: 2_600_000_000 },
    { role: "standby", pid: undefined, isReady: false, residentBytes: 0 },
  ],
  description,
  memory: [
    { shape: { raws: 300, children: 2, logInvRate: 1 }, bytes: 3e9 },
    { shape: { raws: 1, children: 2, logInvRate: 0, messages: 3 }, bytes: 2e9 },
  ],
  costs: [
    { kind: "fold", logInvRate: 0, model: { ...freshCostModel, atMs: 0 }, ageMs: 90_000 },
    { kind: "fold", logInvRate: 2, model: { ...freshCostModel, atMs: 0 }, ageMs: 0 },
    { kind: "merge", logInvRate: 1, model: { ...freshCostModel, atMs: 0 }, ageMs: 5000 },
  ],
  commandsDone: [{ door: { id: "door-0", run: doorRun }, number: 3 }],
  held: [{ digest: "cd".repeat(32), fenceInMs: 1500 }],
};

export const fromHost: readonly FromHost[] = [
  { run: hostRun, kind: "beat", nowMs: 123_456.5 },
  { run: hostRun, kind: "bye" },
  ...phases.map((phase, at): FromHost => ({
    run: hostRun,
    kind: "announce",
    device: "cpu",
    sequence: at + 1,
    report: at === 0 ? { ...report, phase, description: null } : { ...report, phase },
  })),
];

const assignment: RemoteAssignment = {
  work: blobOf(encodeWork(work)),
  digest: workDigest,
  deadlineAtMs: 5000.125,
  fenceAtMs: 8000,
  steps: [
    { untilAtMs: 6000.5, weight: 1 },
    { untilAtMs: 8000, weight: 0.25 },
  ],
  isFirstOfSession: true,
  isExploration: true,
  isRetry: true,
  mayShed: true,
  minInputs: 2,
  rotation: 0.75,
};
const toOne = { run: doorRun, hostRun };
const device = "cpu";

export const toHost: readonly ToHost[] = [
  { ...toOne, kind: "assign", device, lease: 17, attempt: 5, assignment },
  {
    ...toOne,
    kind: "assign",
    device,
    lease: 18,
    attempt: 6,
    assignment: { ...assignment, work: elsewhere, isRetry: false, rotation: 0 },
  },
  { ...toOne, kind: "adopt", device, attempt: 7, digest: workDigest, fenceAtMs: -1 },
  { ...toOne, kind: "kill", device, lease: 17, attempt: 5, reason: "preempted" },
  { ...toOne, kind: "command", device, number: 1, command: { kind: "drain", isDrained: false } },
  { ...toOne, kind: "command", device, number: 2, command: { kind: "restart", role: "standby" } },
  { ...toOne, kind: "command", device, number: 3, command: { kind: "restart", role: "active" } },
  { run: doorRun, hostRun: "", kind: "ping" },
  { ...toOne, kind: "fetch", sha256: elsewhere.sha256, offset: 512 * 1024 },
  {
    ...toOne,
    kind: "verify",
    system: "scheme 1",
    of: { kind: "fold", message: work.message },
    keys: blobOf(keys(11, 12)),
    proof: blobOf(filled(100, 4)),
  },
  {
    ...toOne,
    kind: "verify",
    system: "scheme 1",
    of: {
      kind: "merge",
      claims: merge.components.map(({ message }) => ({ message, keyBytes: 64 })),
    },
    keys: blobOf(keys(11, 12, 21, 13)),
    proof: blobOf(filled(100, 4)),
  },
];

const digest = filled(32, 9);
const results: readonly RemoteResult[] = [
  {
    kind: "proved",
    proof: blobOf(filled(100, 4)),
    proveMs: 812.5,
    leftOut: [
      { reason: "bad_signature", input: { kind: "raw", at: 0 }, digest },
      { reason: "wrong_leaf", input: { kind: "raw", at: 1 }, digest },
      { reason: "covered", input: { kind: "raw", at: 2 }, digest },
      { reason: "bad_child", input: { kind: "child", at: 0 }, digest },
      { reason: "shed", input: { kind: "child", at: 1 }, digest },
    ],
  },
  { kind: "nothing_to_prove", leftOut: [] },
  {
    kind: "rejected",
    leftOut: [{ reason: "bad_child", input: { kind: "child", at: 63 }, digest }],
  },
  {
    kind: "rejected",
    leftOut: [
      { reason: "wrong_leaf", input: { kind: "component", at: 0 }, digest },
      { reason: "bad_child", input: { kind: "component", at: 15 }, digest },
    ],
  },
  { kind: "too_few_inputs", inputs: 1, leftOut: [] },
  { kind: "not_started", reason: "deadline", leftOut: [] },
  { kind: "not_started", reason: "predicted_miss", leftOut: [] },
  { kind: "not_started", reason: "memory", leftOut: [] },
  { kind: "failed", reason: "prover_died", detail: "signal 9", deaths: 2 },
  { kind: "failed", reason: "prover_error", detail: "", deaths: 0 },
  { kind: "failed", reason: "prover_error", detail: "no", deaths: 0, isInvalidProof: true },
];
const toOther = { run: hostRun, doorRun };

export const toDoor: readonly ToDoor[] = [
  { ...toOther, kind: "fetch", sha256: elsewhere.sha256, offset: 0 },
  ...results.map((result, at): ToDoor => ({
    ...toOther,
    kind: "ended",
    device,
    attempt: at + 1,
    result,
  })),
];

export const verdicts: readonly Verdict[] = [
  { kind: "verdict", isValid: true },
  { kind: "verdict", isValid: false },
  { kind: "unable", why: "no prover is set up" },
  { kind: "unable", why: "4 verifications are in progress", isBusy: true },
];
