/**
 * `StreamActivity`: sends what is kept of the activities, then what is new, a few times a second. Each
 * answer is made when the caller has taken the one before, so that nothing queues up for a slow reader:
 * it misses activities, and learns how many.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { createLinkedAbortController } from "@connectrpc/connect/protocol";
import type {
  DeviceActivitySchema,
  StreamActivityRequest,
  StreamActivityResponseSchema,
} from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import type { ActivityFeed } from "../activity.js";
import type { Admission } from "../admission/admission.js";
import { nextChange } from "../changes.js";
import type { Clock } from "../clock.js";
import { limits } from "../limits.js";
import type { Schedules } from "../schedule/schedules.js";
import type { OperatedDevice } from "../schedule/lane-handle.js";
import type { FoldSize } from "./messages/learned-costs-view.js";
import { learnedCosts } from "./messages/learned-costs-view.js";
import { deviceView } from "./messages/operator-views.js";
import type { ServiceStatus } from "./service-status.js";
import type { Reader } from "./stream-results.js";

/** Sizes at which the learned costs are sent: the points of a curve over each kind of input. */
const folds: readonly FoldSize[] = [
  ...[1, 2, 4, 8, 16, 32, 64, 128, 256, 512].map((raws): FoldSize => [raws, 0]),
  ...[2, 4, 8, 16].map((children): FoldSize => [0, children]),
];

export interface StreamActivityModules {
  admission: Pick<Admission, "listSessions" | "nodesInUse" | "groupsWaiting">;
  schedules: Pick<Schedules, "devices" | "wholeOf">;
  status: Pick<ServiceStatus, "current">;
  activity: Pick<ActivityFeed, "has" | "take">;
  clock: Clock;
  /** The cores of each device that has some set, such as `0-3`. */
  cores: ReadonlyMap<string, string>;
}

/** The names of the service, which stand in each answer. */
export interface ServiceNames {
  serviceId: string;
  /** Names this run of the service. */
  run: string;
  serverVersion: string;
}

type Answer = MessageInitShape<typeof StreamActivityResponseSchema>;

/** How often a reader is answered, in milliseconds. */
export interface ActivityPace {
  /** Time between two answers; and the longest when nothing happens. */
  everyMs: number;
  idleMs: number;
  /** Time after which the learned costs of the devices are sent again. */
  costsEveryMs: number;
}

export const livePace: ActivityPace = {
  everyMs: limits.activityEveryMs,
  idleMs: limits.activityIdleMs,
  costsEveryMs: limits.activityCostsEveryMs,
};

export async function* activityOf(
  { noFollow, pace }: Pick<StreamActivityRequest, "noFollow"> & { pace: ActivityPace },
  reader: Reader,
  names: ServiceNames,
  modules: StreamActivityModules,
): AsyncGenerator<Answer> {
  const { clock, activity } = modules;
  const waiting = createLinkedAbortController(reader.signal, reader.draining, reader.revoked);
  const { signal } = waiting;
  let from = 0;
  let costsAtMs = -Infinity;
  try {
    while (!reader.signal.aborted && !reader.revoked.aborted) {
      const startedAtMs = clock.nowMs();
      const { records, missed, next } = activity.take(from, limits.activitiesPerAnswerMax);
      from = next;
      const isAll = !activity.has(next);
      const hasCosts = isAll && startedAtMs >= costsAtMs + pace.costsEveryMs;
      if (hasCosts) costsAtMs = startedAtMs;
      const state = isAll ? stateOf(modules, startedAtMs, hasCosts) : {};
      const times = { nowMs: startedAtMs, nowUnixMs: clock.unixMs() };
      const status = modules.status.current;
      yield { ...names, ...times, status, activities: records, missed: BigInt(missed), ...state };
      if (!isAll) continue;
      if (noFollow || signal.aborted) return;
      await nextChange([], signal, { clock, atMs: startedAtMs + pace.everyMs });
      const idleUntilMs = startedAtMs + pace.idleMs;
      while (!activity.has(from) && clock.nowMs() < idleUntilMs && !signal.aborted) {
        const atMs = Math.min(idleUntilMs, clock.nowMs() + pace.everyMs);
        await nextChange([], signal, { clock, atMs });
      }
    }
  } finally {
    waiting.abort();
  }
}

function stateOf(
  { admission, schedules, cores }: StreamActivityModules,
  nowMs: number,
  hasCosts: boolean,
): Pick<Answer, "groupsWaiting" | "devices" | "nodes" | "complete"> {
  const sessions = admission.listSessions();
  const wholeOf = (number: number) => schedules.wholeOf(number);
  const ofDevice = ({
    deviceId,
    report,
  }: OperatedDevice): MessageInitShape<typeof DeviceActivitySchema> => ({
    status: deviceView(deviceId, report, { sessions, wholeOf }, nowMs),
    scheme: report.description?.scheme ?? "",
    revision: report.description?.revision ?? "",
    cores: cores.get(deviceId) ?? "",
    learnedCosts: hasCosts ? learnedCosts(report, folds) : [],
  });
  return {
    groupsWaiting: admission.groupsWaiting,
    devices: [...schedules.devices()]
      .sort((a, b) => (a.deviceId < b.deviceId ? -1 : 1))
      .map(ofDevice),
    nodes: admission.nodesInUse(),
    complete: true,
  };
}
