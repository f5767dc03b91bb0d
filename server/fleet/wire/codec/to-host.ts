/** What a door sends a lane host, or asks of it. */
import type { OperatorCommand } from "../../../lane/lane-messages.js";
import { limits } from "../../../limits.js";
import type { Step } from "../../../work/submission.js";
import type { Asked, AskedClaim, RemoteAssignment, ToHost, Verdict } from "../messages.js";
import { FLEET_VERSION } from "../messages.js";
import { field, list, literal, mapped, message, only, optional } from "./fields.js";
import { garbled } from "./fleet-message-error.js";
import { bool, bytes, device, digest, instant, oneFrom, real } from "./scalars.js";
import { run, runOrNone, systemOrNone, text, u32 } from "./scalars.js";
import {
  blob,
  fetchRequest,
  lease,
  ordinal,
  proofBlob,
  said,
  stopReasons,
  versionKind,
} from "./shared.js";

type Member = ToHost extends infer Each
  ? Each extends ToHost
    ? Omit<Each, "run" | "hostRun">
    : never
  : never;
type Of<Name extends ToHost["kind"]> = Extract<Member, { kind: Name }>;

/** The largest number below 1. */
const BELOW_ONE = 1 - Number.EPSILON / 2;

const step = message<Step>({
  untilAtMs: field(1, instant),
  weight: field(2, real(0, 1)),
});

/** Throws unless instants ascend and weights descend, as in what `jointSteps` gives. */
function checkSteps(steps: readonly Step[]): void {
  steps.forEach(({ untilAtMs, weight }, at) => {
    const before = steps[at - 1];
    if (before === undefined) return;
    if (untilAtMs < before.untilAtMs) garbled("has steps whose instants do not ascend");
    if (weight >= before.weight) garbled("has steps whose weights do not descend");
  });
}

const assign = mapped(
  message({
    device: field(1, device),
    lease: field(2, lease),
    attempt: field(3, ordinal),
    digest: field(4, digest),
    work: field(5, blob(limits.snapshotBytesMax)),
    deadlineAtMs: field(6, instant),
    fenceAtMs: field(7, instant),
    isFirstOfSession: field(8, bool),
    isExploration: field(9, bool),
    isRetry: field(10, bool),
    mayShed: field(11, bool),
    minInputs: field(12, u32()),
    rotation: field(13, real(0, BELOW_ONE)),
    steps: list(14, step, limits.attemptStepsMax),
  }),
  ({ device: deviceId, lease: underLease, attempt, ...assignment }): Of<"assign"> => {
    checkSteps(assignment.steps);
    return {
      kind: "assign",
      device: deviceId,
      lease: underLease,
      attempt,
      assignment: assignment satisfies RemoteAssignment,
    };
  },
  ({ device: deviceId, lease: underLease, attempt, assignment }) => ({
    device: deviceId,
    lease: underLease,
    attempt,
    ...assignment,
  }),
);

const adopt = message<Of<"adopt">>({
  kind: literal("adopt"),
  device: field(1, device),
  attempt: field(2, ordinal),
  digest: field(3, digest),
  fenceAtMs: field(4, instant),
});

const kill = message<Of<"kill">>({
  kind: literal("kill"),
  device: field(1, device),
  lease: field(2, lease),
  attempt: field(3, ordinal),
  reason: field(4, oneFrom(stopReasons)),
});

const command = mapped(
  message({
    device: field(1, device),
    number: field(2, ordinal),
    drain: optional(3, bool),
    restartStandby: optional(4, bool),
  }),
  ({ device: deviceId, number, drain, restartStandby }): Of<"command"> => {
    const asked = only<OperatorCommand>([
      drain === undefined ? undefined : { kind: "drain", isDrained: drain },
      restartStandby === undefined
        ? undefined
        : { kind: "restart", role: restartStandby ? "standby" : "active" },
    ]);
    return { kind: "command", device: deviceId, number, command: asked };
  },
  ({ device: deviceId, number, command: asked }) => ({
    device: deviceId,
    number,
    drain: asked.kind === "drain" ? asked.isDrained : undefined,
    restartStandby: asked.kind === "restart" ? asked.role === "standby" : undefined,
  }),
);

const root = bytes(32, 32);

const mergedClaim = mapped(
  message({
    root: field(1, root),
    slot: field(2, u32()),
    keyBytes: field(3, u32(1, limits.snapshotBytesMax)),
  }),
  ({ keyBytes, ...signed }): AskedClaim => ({ message: signed, keyBytes }),
  ({ message: signed, keyBytes }) => ({ ...signed, keyBytes }),
);

const verify = mapped(
  message({
    root: optional(1, root),
    slot: field(2, u32()),
    keys: field(3, blob(limits.snapshotBytesMax)),
    proof: field(4, proofBlob),
    claims: list(5, mergedClaim, limits.mergeMessagesMax),
    system: field(6, systemOrNone),
  }),
  ({ root: ofFold, slot, claims, keys, proof, system }): Of<"verify"> => {
    const isFold = ofFold !== undefined;
    if (isFold === claims.length > 0) garbled("has not either a message or claims");
    const of: Asked = isFold
      ? { kind: "fold", message: { root: ofFold, slot } }
      : { kind: "merge", claims };
    return { kind: "verify", system, of, keys, proof };
  },
  ({ system, of, keys, proof }) => {
    return of.kind === "fold"
      ? { ...of.message, keys, proof, claims: [], system }
      : { root: undefined, slot: 0, keys, proof, claims: of.claims, system };
  },
);

const ping = message<Of<"ping">>({ kind: literal("ping") });

export const toHost = mapped(
  message({
    version: field(1, versionKind),
    run: field(2, run),
    hostRun: field(3, runOrNone),
    assign: optional(4, assign),
    adopt: optional(5, adopt),
    kill: optional(6, kill),
    command: optional(7, command),
    ping: optional(8, ping),
    fetch: optional(9, fetchRequest),
    verify: optional(10, verify),
  }),
  (wire): ToHost => {
    const { run: doorRun, hostRun } = wire;
    const member = said<Member>(wire.version, [
      wire.assign,
      wire.adopt,
      wire.kill,
      wire.command,
      wire.ping,
      wire.fetch,
      wire.verify,
    ]);
    if (hostRun === "" && member.kind !== "ping") garbled("names no run of the host");
    return { run: doorRun, hostRun, ...member };
  },
  (value) => ({
    version: FLEET_VERSION,
    run: value.run,
    hostRun: value.hostRun,
    assign: value.kind === "assign" ? value : undefined,
    adopt: value.kind === "adopt" ? value : undefined,
    kill: value.kind === "kill" ? value : undefined,
    command: value.kind === "command" ? value : undefined,
    ping: value.kind === "ping" ? value : undefined,
    fetch: value.kind === "fetch" ? value : undefined,
    verify: value.kind === "verify" ? value : undefined,
  }),
);

export const verdict = mapped(
  message({ isValid: optional(1, bool), unable: optional(2, text), isBusy: field(3, bool) }),
  ({ isValid, unable, isBusy }): Verdict =>
    only<Verdict>([
      isValid === undefined ? undefined : { kind: "verdict", isValid },
      unable === undefined
        ? undefined
        : { kind: "unable", why: unable, ...(isBusy && { isBusy: true }) },
    ]),
  (value) => ({
    isValid: value.kind === "verdict" ? value.isValid : undefined,
    unable: value.kind === "unable" ? value.why : undefined,
    isBusy: value.kind === "unable" && value.isBusy === true,
  }),
);
