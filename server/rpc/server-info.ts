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

/** Folds whose learned cost is reported: raw signatures, children. */
const folds = [
  [1, 0],
  [16, 0],
  [32, 0],
  [64, 0],
  [32, 1],
] as const;
/** Merges whose learned cost is reported, once one was made: messages, each with a proof. */
const merges = [2, 4, 8] as const;

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
    learnedCosts: shapesOf(costs).map((shape) => {
      const peak = BigInt(Math.round(peakBytes(memory, shape)));
      return { ...learnedCost(costs, shape), peakBytes: peak };
    }),
  };
}

/** The shapes of the kinds and rates of which something was learned; folds of the default one always. */
function shapesOf(costs: Costs): Shape[] {
  const learned = costs.length === 0 ? [{ kind: "fold", logInvRate: 0 } as const] : costs;
  return learned.flatMap(({ kind, logInvRate }): Shape[] =>
    kind === "fold"
      ? folds.map(([raws, children]) => ({ raws, children, logInvRate }))
      : merges.map((messages) => ({ raws: 0, children: messages, messages, logInvRate })),
  );
}

function learnedCost(costs: Costs, shape: Shape): MessageInitShape<typeof LearnedCostSchema> {
  const { messages, logInvRate = 0 } = shape;
  const model = modelOf(costs, shape);
  return {
    kind: messages === undefined ? ProofKind.AGGREGATE : ProofKind.MERGE,
    logInvRate,
    rawSignatures: shape.raws,
    children: shape.children,
    messages: messages ?? 1,
    proveMs: Math.round(predictMs(model, shape)),
    proveMsLow: Math.round(optimisticMs(model, shape)),
    proveMsHigh: Math.round(pessimisticMs(model, shape)),
  };
}
