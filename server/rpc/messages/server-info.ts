/** The answer of `GetServerInfo`. */
import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  DeviceSchema,
  UpgradeSchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  GetServerInfoResponseSchema,
  UpgradeState,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { deviceStateOnWire } from "../../lane/lane-activity.js";
import { laneDetail } from "../../lane/lane-messages.js";
import type { OperatedDevice } from "../../schedule/lane-handle.js";
import type { HandlersModules, HandlersOptions } from "../call/call-context.js";
import type { UpgradeView } from "../../schedule/upgrade/upgrade.js";
import { learnedCosts } from "./learned-costs-view.js";
import { limitsView } from "./status-view.js";

/** Folds whose learned cost is reported: raw signatures, children. */
const folds = [
  [1, 0],
  [16, 0],
  [32, 0],
  [64, 0],
  [32, 1],
] as const;

export function serverInfo(options: HandlersOptions, modules: HandlersModules) {
  const { schedules, clock } = modules;
  return create(GetServerInfoResponseSchema, {
    serverVersion: options.version,
    serviceId: options.serviceId,
    run: options.instance,
    status: modules.status.update(),
    limits: limitsView(),
    devices: schedules.devices().map(deviceInfo),
    serverTimeUnixMs: BigInt(clock.unixMs()),
    defaultDeadlineMs: options.deadlineMs,
    defaultFenceMs: options.fenceMs,
    ...upgradeOf(schedules.upgradeView),
  });
}

const upgradeStateOnWire = {
  waiting: UpgradeState.WAITING,
  switched: UpgradeState.SWITCHED,
  returned: UpgradeState.RETURNED,
} as const;

function upgradeOf(view: UpgradeView | undefined): {
  upgrade?: MessageInitShape<typeof UpgradeSchema>;
} {
  if (view === undefined) return {};
  const { scheme, revision, slot, state, why } = view;
  const proofSystem = { scheme, revision };
  return { upgrade: { proofSystem, slot, state: upgradeStateOnWire[state], detail: why } };
}

function deviceInfo({ deviceId, report }: OperatedDevice): MessageInitShape<typeof DeviceSchema> {
  const { phase, isStandbyReady, isDrained } = report;
  return {
    id: deviceId,
    state: deviceStateOnWire[phase.kind],
    detail: laneDetail(report),
    standbyReady: isStandbyReady,
    drained: isDrained,
    learnedCosts: learnedCosts(report, folds),
  };
}
