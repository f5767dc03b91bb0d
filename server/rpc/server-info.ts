/** The answer of `GetServerInfo`. */
import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  DeviceSchema,
  LearnedCostSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  DeviceState,
  GetServerInfoResponseSchema,
  ProofKind,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { laneDetail } from "../lane/lane-messages.js";
import type { OperatedDevice } from "../schedule/lane-handle.js";
import type { Costs } from "../work/costs.js";
import { modelOf } from "../work/costs.js";
import { peakBytes } from "../work/memory-model.js";
import type { Shape } from "../work/shape.js";
import { optimisticMs, pessimisticMs, predictMs } from "../work/cost-model.js";
import type { HandlersModules, HandlersOptions } from "./call-context.js";
import { limitsView } from "./status-view.js";

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
  const { dispatcher, clock } = modules;
  return create(GetServerInfoResponseSchema, {
    serverVersion: options.version,
    serviceId: options.serviceId,
    run: options.instance,
    status: modules.status.update(),
    limits: limitsView(),
    devices: dispatcher.devices().map(deviceInfo),
    serverTimeUnixMs: BigInt(clock.unixMs()),
    defaultDeadlineMs: options.deadlineMs,
    defaultFenceMs: options.fenceMs,
  });
}

function deviceInfo({ deviceId, report }: OperatedDevice): MessageInitShape<typeof DeviceSchema> {
  const { phase, isStandbyReady, isDrained, costs, memory } = report;
  return {
    id: deviceId,
    state: deviceStateOnWire[phase.kind],
    detail: laneDetail(report),
    standbyReady: isStandbyReady,
    drained: isDrained,
    learnedCosts: ratesOf(costs).flatMap((logInvRate) =>
      shapes.map(([raws, children]) => {
        const shape = { raws, children, logInvRate };
        const peak = BigInt(Math.round(peakBytes(memory, shape)));
        return { ...learnedCost(costs, logInvRate, shape), peakBytes: peak };
      }),
    ),
  };
}

/** The rates of which something was learned; the default one always. */
function ratesOf(costs: Costs): number[] {
  const folds = costs.filter(({ kind }) => kind === "fold");
  return folds.length === 0 ? [0] : folds.map(({ logInvRate }) => logInvRate);
}

function learnedCost(
  costs: Costs,
  logInvRate: number,
  shape: Shape,
): MessageInitShape<typeof LearnedCostSchema> {
  const model = modelOf(costs, shape);
  return {
    kind: ProofKind.AGGREGATE,
    logInvRate,
    rawSignatures: shape.raws,
    children: shape.children,
    messages: 1,
    proveMs: Math.round(predictMs(model, shape)),
    proveMsLow: Math.round(optimisticMs(model, shape)),
    proveMsHigh: Math.round(pessimisticMs(model, shape)),
  };
}
