/** What a lane host publishes: beats, and the state of its lanes. */
import type { JobKind } from "../../../../native/addon.js";
import type { LaneProver } from "../../../lane/lane-messages.js";
import { limits } from "../../../limits.js";
import { costBounds, isCovariance } from "../../../work/costs/cost-bounds.js";
import type { ProverDescription } from "../../../work/prover-description.js";
import type { Peak } from "../../../work/costs/memory-model.js";
import type { Shape } from "../../../work/shape.js";
import { atRate, kindOf } from "../../../work/shape.js";
import type { FromHost, Held, Owner, SharedCosts, SharedPhase, SharedReport } from "../messages.js";
import { FLEET_VERSION } from "../messages.js";
import { field, list, literal, mapped, message, only, optional, packed } from "./fields.js";
import { garbled } from "./fleet-message-error.js";
import * as scalars from "./scalars.js";
import { killCauses, lease, ordinal, said, versionKind } from "./shared.js";

const { bool, device, digest, duration, oneFrom, peerId, real, run, text, u32, whole } = scalars;

const rate = u32(0, limits.rateMax);
const rawCount = u32(0, limits.inputsMax);
const childCount = u32(0, limits.childrenMax);
const messageCount = u32(0, limits.mergeMessagesMax);
/** A shape that is read: a fold has no number of messages. */
const ofKind = (shape: Required<Shape>): Shape => {
  const { messages, ...fold } = shape;
  return messages === 0 ? fold : shape;
};
const wireShape = ({ raws, children, logInvRate = 0, messages = 0 }: Shape) => {
  return { raws, children, logInvRate, messages };
};

type Phase<Name extends SharedPhase["kind"]> = Extract<SharedPhase, { kind: Name }>;

const starting = mapped(
  message({ isCalibrating: field(1, bool) }),
  ({ isCalibrating }): Phase<"starting"> => ({ kind: "starting", isCalibrating }),
  ({ isCalibrating }) => ({ isCalibrating }),
);

const idle = message<Phase<"idle">>({ kind: literal("idle") });

const proofStart = mapped(
  message({
    ranMs: field(1, duration),
    raws: field(2, rawCount),
    children: field(3, childCount),
    logInvRate: field(4, rate),
    messages: field(5, messageCount),
  }),
  ({ ranMs, ...shape }) => ({ ranMs, shape: atRate(ofKind(shape), shape.logInvRate) }),
  ({ ranMs, shape }) => ({ ranMs, ...wireShape(shape) }),
);

const owner = mapped(
  message({ door: field(1, peerId), run: field(2, run), attempt: field(3, ordinal) }),
  ({ door: id, ...rest }): Owner => ({ id, ...rest }),
  ({ id: door, ...rest }) => ({ door, ...rest }),
);

const proving = mapped(
  message({
    digest: field(1, digest),
    owners: list(2, owner, limits.ownersMax),
    fenceInMs: field(3, duration),
    proof: optional(4, proofStart),
  }),
  ({ proof = null, ...rest }): Phase<"proving"> => ({ kind: "proving", ...rest, proof }),
  ({ proof, ...rest }) => ({ ...rest, proof: proof ?? undefined }),
);

const stopping = message<Phase<"stopping">>({
  kind: literal("stopping"),
  cause: field(1, oneFrom(killCauses)),
});

const failed = message<Phase<"failed">>({
  kind: literal("failed"),
  cause: field(1, text),
  retryInMs: field(2, duration),
});

const prover = mapped(
  message({
    isStandby: field(1, bool),
    pid: field(2, u32()),
    isReady: field(3, bool),
    residentBytes: field(4, whole()),
  }),
  ({ isStandby, pid, ...rest }): LaneProver => ({
    role: isStandby ? "standby" : "active",
    pid: pid === 0 ? undefined : pid,
    ...rest,
  }),
  ({ role, pid = 0, ...rest }) => ({ isStandby: role === "standby", pid, ...rest }),
);

const item = u32(1, limits.proverItemBytesMax);
const description = mapped(
  message({
    backend: field(1, scalars.name),
    scheme: field(2, scalars.name),
    revision: field(3, scalars.name),
    publicKeyBytes: field(4, item),
    signatureBytes: field(5, item),
    proofBytesMax: field(6, u32()),
    childrenMax: field(7, u32()),
    rates: field(8, u32()),
    fake: field(9, bool),
    anySize: field(10, bool),
    messagesMax: field(11, messageCount),
    rawsMax: field(12, u32()),
    rawsBesideMax: field(13, u32()),
    separatesRaws: field(14, bool),
    arities: field(15, u32()),
  }),
  ({ anySize, rawsMax, rawsBesideMax, separatesRaws, arities, ...rest }): ProverDescription => {
    if (anySize && !rest.fake) garbled("takes any size, but is no fake prover");
    if (rest.childrenMax === 1 || (arities > 0 && (arities & 4) === 0)) {
      garbled("does not fold two children");
    }
    return {
      ...rest,
      ...(rawsMax > 0 && { rawsMax }),
      ...(rawsBesideMax > 0 && { rawsBesideMax }),
      ...(separatesRaws && { separatesRaws }),
      ...(arities > 0 && { arities }),
      ...(anySize && { anySize }),
    };
  },
  ({ anySize = false, separatesRaws = false, ...rest }) => {
    const { rawsMax = 0, rawsBesideMax = 0, arities = 0 } = rest;
    return { ...rest, rawsMax, rawsBesideMax, separatesRaws, arities, anySize };
  },
);

const { coefficients, logMax, covarianceMax, scatterMin, scatterMax } = costBounds;
/** The costs of one kind. */
const cost = (kind: JobKind) =>
  mapped(
    message({
      logMs: packed(1, real(-logMax, logMax), coefficients),
      covariance: packed(2, real(-covarianceMax, covarianceMax), coefficients ** 2),
      scatter: field(3, real(scatterMin, scatterMax)),
      ageMs: field(4, scalars.age),
      logInvRate: field(5, rate),
    }),
    ({ logMs, covariance, scatter, ageMs, logInvRate }): SharedCosts => {
      const rows = logMs.map((_, row) =>
        covariance.slice(row * coefficients, (row + 1) * coefficients),
      );
      if (logMs.length !== coefficients || covariance.length !== coefficients ** 2) {
        garbled(`has not ${coefficients} coefficients and their covariance`);
      }
      if (!isCovariance(rows)) garbled("has a matrix that is no covariance");
      return { kind, logInvRate, model: { logMs, covariance: rows, scatter, atMs: 0 }, ageMs };
    },
    ({ logInvRate, model: { logMs, covariance, scatter }, ageMs }) => ({
      logMs,
      covariance: covariance.flat(),
      scatter,
      ageMs,
      logInvRate,
    }),
  );

function checkRates(costs: readonly SharedCosts[]): void {
  const rates = costs.map(({ logInvRate }) => logInvRate);
  if (rates.some((each, at) => at > 0 && each <= (rates[at - 1] ?? 0))) {
    garbled("has costs that are not in ascending order of the rate");
  }
}

const peak = mapped(
  message({
    raws: field(1, rawCount),
    children: field(2, childCount),
    logInvRate: field(3, rate),
    bytes: field(4, whole()),
    messages: field(5, messageCount),
  }),
  ({ bytes, ...shape }): Peak => ({ shape: ofKind(shape), bytes }),
  ({ shape, bytes }) => ({ ...wireShape(shape), bytes }),
);

const isOfMerge = ({ shape }: Peak) => kindOf(shape) === "merge";

const commandsDone = mapped(
  message({ door: field(1, peerId), run: field(2, run), number: field(3, whole()) }),
  ({ door, run: doorRun, number }) => ({ door: { id: door, run: doorRun }, number }),
  ({ door, number }) => ({ door: door.id, run: door.run, number }),
);

const held = message<Held>({ digest: field(1, digest), fenceInMs: field(2, duration) });

type Of<Name extends FromHost["kind"]> = Omit<Extract<FromHost, { kind: Name }>, "run">;

const announcement = mapped(
  message({
    device: field(1, device),
    sequence: field(2, ordinal),
    lease: field(3, lease),
    starting: optional(4, starting),
    idle: optional(5, idle),
    proving: optional(6, proving),
    stopping: optional(7, stopping),
    failed: optional(8, failed),
    isDrained: field(9, bool),
    isRestartDue: field(10, bool),
    isStandbyReady: field(11, bool),
    standbyCause: field(12, text),
    provers: list(13, prover, 2),
    description: optional(14, description),
    costs: list(15, cost("fold"), limits.rateMax + 1),
    commandsDone: list(16, commandsDone, limits.doorsMax),
    held: list(17, held, limits.heldProofsMax),
    isRefreshing: field(18, bool),
    memory: list(19, peak, limits.memoryPeaksMax),
    mergeCosts: list(20, cost("merge"), limits.rateMax + 1),
    mergeMemory: list(21, peak, limits.memoryPeaksMax),
  }),
  (wire): Of<"announce"> => {
    const { device: deviceId, sequence, costs, mergeCosts, memory, mergeMemory } = wire;
    checkRates(costs);
    checkRates(mergeCosts);
    if (memory.some(isOfMerge) || !mergeMemory.every(isOfMerge)) {
      garbled("has peaks of the other kind of proofs");
    }
    const phase = only<SharedPhase>([
      wire.starting,
      wire.idle,
      wire.proving,
      wire.stopping,
      wire.failed,
    ]);
    const report: SharedReport = {
      lease: wire.lease,
      phase,
      isDrained: wire.isDrained,
      isRestartDue: wire.isRestartDue,
      isStandbyReady: wire.isStandbyReady,
      isRefreshing: wire.isRefreshing,
      standbyCause: wire.standbyCause,
      provers: wire.provers,
      description: wire.description ?? null,
      costs: [...costs, ...mergeCosts],
      memory: [...memory, ...mergeMemory],
      commandsDone: wire.commandsDone,
      held: wire.held,
    };
    return { kind: "announce", device: deviceId, sequence, report };
  },
  ({ device: deviceId, sequence, report: { phase, costs, memory, ...report } }) => ({
    ...report,
    costs: costs.filter(({ kind }) => kind === "fold"),
    mergeCosts: costs.filter(({ kind }) => kind === "merge"),
    memory: memory.filter((each) => !isOfMerge(each)),
    mergeMemory: memory.filter(isOfMerge),
    device: deviceId,
    sequence,
    starting: phase.kind === "starting" ? phase : undefined,
    idle: phase.kind === "idle" ? phase : undefined,
    proving: phase.kind === "proving" ? phase : undefined,
    stopping: phase.kind === "stopping" ? phase : undefined,
    failed: phase.kind === "failed" ? phase : undefined,
    description: report.description ?? undefined,
  }),
);

const beat = message<Of<"beat">>({ kind: literal("beat"), nowMs: field(1, scalars.instant) });

const bye = message<Of<"bye">>({ kind: literal("bye") });

export const fromHost = mapped(
  message({
    version: field(1, versionKind),
    run: field(2, run),
    beat: optional(3, beat),
    announcement: optional(4, announcement),
    bye: optional(5, bye),
  }),
  (wire): FromHost => ({
    run: wire.run,
    ...said<Of<"beat"> | Of<"announce"> | Of<"bye">>(wire.version, [
      wire.beat,
      wire.announcement,
      wire.bye,
    ]),
  }),
  (value) => ({
    version: FLEET_VERSION,
    run: value.run,
    beat: value.kind === "beat" ? value : undefined,
    announcement: value.kind === "announce" ? value : undefined,
    bye: value.kind === "bye" ? value : undefined,
  }),
);
