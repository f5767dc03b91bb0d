/** The answer of `GetServerInfo`. */
import { create } from "@bufbuild/protobuf";
import {
  DeviceState,
  GetServerInfoResponseSchema,
  ProofKind,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { phaseDetail } from "../lane/lane-messages.js";
import { limits } from "../limits.js";
import { offeredRates } from "../work/prover-description.js";
import { optimisticMs, pessimisticMs, predictMs } from "../work/cost-model.js";
import type { HandlersModules, HandlersOptions } from "./call-context.js";
import { snapshotLimits } from "./request-limits.js";

/** Shapes whose learned cost is reported: raw signatures, children. */
const shapes = [
  [1, 0],
  [16, 0],
  [32, 0],
  [64, 0],
  [32, 1],
] as const;

export const deviceStateOnWire = {
  starting: DeviceState.STARTING,
  idle: DeviceState.IDLE,
  proving: DeviceState.PROVING,
  stopping: DeviceState.STOPPING,
  failed: DeviceState.FAILED,
} as const;

export function serverInfo(options: HandlersOptions, modules: HandlersModules) {
  const { dispatcher, admission, clock } = modules;
  const has = dispatcher.describe();
  return create(GetServerInfoResponseSchema, {
    serverVersion: options.version,
    serverInstance: options.instance,
    proofSystem: { scheme: has?.scheme ?? "", revision: has?.revision ?? "" },
    publicKeyBytes: has?.publicKeyBytes ?? 0,
    signatureBytes: has?.signatureBytes ?? 0,
    kinds: [ProofKind.AGGREGATE],
    limits: {
      snapshotBytesMax: limits.snapshotBytesMax,
      groupsMax: limits.groupsMax,
      rawSignaturesMax: limits.validatorsMax,
      childrenMax: has === undefined ? 0 : snapshotLimits(has).childrenMax,
      proofBytesMax: limits.proofBytesMax,
      validatorsMax: limits.validatorsMax,
      deadlineMsMax: limits.deadlineMsMax,
      fenceMsMax: limits.fenceMsMax,
      jsonBytesMax: limits.jsonBytesMax,
      callsPerConnectionMax: limits.callsPerConnectionMax,
      connectionAgeMs: limits.connectionAgeMs,
      connectionIdleMs: limits.connectionIdleMs,
      connectionGraceMs: limits.connectionGraceMs,
      headerBytesMax: limits.headerBytesMax,
    },
    devices: dispatcher.devices().map(({ deviceId, report: { phase, isStandbyReady, cost } }) => ({
      id: deviceId,
      state: deviceStateOnWire[phase.kind],
      detail: phaseDetail(phase),
      standbyReady: isStandbyReady,
      learnedCosts: shapes.map(([rawSignatures, children]) => ({
        rawSignatures,
        children,
        proveMs: Math.round(predictMs(cost, { raws: rawSignatures, children })),
        proveMsLow: Math.round(optimisticMs(cost, { raws: rawSignatures, children })),
        proveMsHigh: Math.round(pessimisticMs(cost, { raws: rawSignatures, children })),
      })),
    })),
    serverTimeUnixMs: BigInt(clock.unixMs()),
    defaultDeadlineMs: options.deadlineMs,
    defaultFenceMs: options.fenceMs,
    draining: admission.draining,
    fake: has?.fake ?? false,
    logInvRates: has === undefined ? [] : offeredRates(has),
  });
}
