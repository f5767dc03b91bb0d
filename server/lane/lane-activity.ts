/**
 * Stands between the lanes and the schedule, and adds to the activities what lanes do: a record each time
 * that the state, the attempt or the proof of a lane changes. A lane reports twice a second, mostly the
 * same.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { LaneChangedSchema } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { DeviceState } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { ActivityLog } from "../activity.js";
import type { Clock } from "../clock.js";
import { uint32Of } from "../uint32.js";
import type { Shape } from "../work/shape.js";
import { phaseDetail } from "./lane-messages.js";
import type { FromLink, LaneLink, LaneListener, ReportedPhase } from "./lane-messages.js";

export const deviceStateOnWire = {
  starting: DeviceState.STARTING,
  idle: DeviceState.IDLE,
  proving: DeviceState.PROVING,
  stopping: DeviceState.STOPPING,
  failed: DeviceState.FAILED,
} as const;

/**
 * By so many milliseconds the starts of one proof may differ that two announcements say, when their lane is
 * elsewhere: each start is computed anew, from a duration of the host and when its message arrived.
 */
const START_TOLERANCE_MS = 100;

export interface LaneActivityModules {
  clock: Clock;
  activity: ActivityLog;
}

export class LaneActivity implements LaneListener {
  /** What was added last of each device. */
  private readonly last = new Map<string, ReportedPhase>();

  /** @param listener gets every message, after it was noted */
  constructor(
    private readonly listener: LaneListener,
    private readonly modules: LaneActivityModules,
  ) {}

  added(link: LaneLink): void {
    this.listener.added(link);
  }

  heard(deviceId: string, message: FromLink): void {
    if (message.kind === "announce") this.note(deviceId, message.phase);
    this.listener.heard(deviceId, message);
  }

  gone(deviceId: string, why: string): void {
    if (this.last.delete(deviceId)) this.add({ deviceId, cause: why });
    this.listener.gone(deviceId, why);
  }

  private note(deviceId: string, phase: ReportedPhase): void {
    const last = this.last.get(deviceId);
    if (last !== undefined && isSame(last, phase)) return;
    this.last.set(deviceId, phase);
    const cause = phase.kind === "stopping" ? phase.cause : phaseDetail(phase);
    const { atMs, ...proving } = provingOf(phase);
    this.add({ deviceId, state: deviceStateOnWire[phase.kind], cause, ...proving }, atMs);
  }

  private add(value: MessageInitShape<typeof LaneChangedSchema>, atMs?: number): void {
    const { clock, activity } = this.modules;
    activity.add({ atMs: atMs ?? clock.nowMs(), event: { case: "lane", value } });
  }
}

function isSame(a: ReportedPhase, b: ReportedPhase): boolean {
  if (a.kind !== b.kind) return false;
  if (a.kind !== "proving" || b.kind !== "proving") return phaseDetail(a) === phaseDetail(b);
  if (a.attempt !== b.attempt) return false;
  if (a.proof === null || b.proof === null) return a.proof === b.proof;
  if (!isSameShape(a.proof.shape, b.proof.shape)) return false;
  // An attempt has one proof. Without its number it may be the next one of the same shape.
  const apartMs = Math.abs(a.proof.startedAtMs - b.proof.startedAtMs);
  return a.attempt !== null || apartMs <= START_TOLERANCE_MS;
}

function isSameShape(a: Shape, b: Shape): boolean {
  const isSameSize = a.raws === b.raws && a.children === b.children;
  return isSameSize && a.messages === b.messages && a.logInvRate === b.logInvRate;
}

/** The attempt and the proof; `atMs` is when the proof started, where one runs. */
function provingOf(phase: ReportedPhase) {
  if (phase.kind !== "proving") return {};
  const attempt = uint32Of(phase.attempt ?? 0);
  if (phase.proof === null) return { attempt };
  const { startedAtMs, shape } = phase.proof;
  const { raws, children, messages = 0 } = shape;
  return { attempt, proof: { rawSignatures: raws, children, messages }, atMs: startedAtMs };
}
