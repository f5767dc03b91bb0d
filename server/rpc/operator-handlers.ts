/**
 * The calls of AdminService. Each that changes something leaves a line in the log. Refusals are
 * thrown as `Refusal`, as in `handlers.ts`.
 */
import { create } from "@bufbuild/protobuf";
import type {
  DrainDeviceRequest,
  EndSessionRequest,
  RestartProverRequest,
} from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import {
  DrainDeviceResponseSchema,
  EndSessionResponseSchema,
  ListProversResponseSchema,
  ListSessionsResponseSchema,
  ProverRole,
  RestartProverResponseSchema,
} from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import type { Clock } from "../clock.js";
import { invalid, Refusal } from "../errors.js";
import { limits } from "../limits.js";
import type { Logger } from "../log.js";
import type { Dispatcher } from "../schedule/dispatcher.js";
import type { LaneProver, LaneRunner } from "../lane/lane.js";
import type { Admission } from "../admission/admission.js";
import { deviceView, sessionView } from "./operator-views.js";

/** What the listener knows of a call. */
export interface OperatorsCall {
  /** Who calls, for the log. */
  principal: string;
  /** Aborts when the caller is gone, or the listener closes. */
  signal: AbortSignal;
}

export interface AdminHandlersModules {
  aggregator: Admission;
  dispatcher: Dispatcher;
  clock: Clock;
  log: Logger;
}

export class AdminHandlers {
  constructor(private readonly modules: AdminHandlersModules) {}

  listSessions() {
    const { aggregator, clock } = this.modules;
    const sessions = aggregator.listSessions().map((live) => {
      const { outcomes } = aggregator.session(live.submission.nodeId, live.id);
      return sessionView(live, outcomes, clock.nowMs());
    });
    return create(ListSessionsResponseSchema, { sessions });
  }

  listProvers() {
    const devices = this.modules.dispatcher.devices().map((device) => this.view(device));
    return create(ListProversResponseSchema, { devices });
  }

  async drainDevice(request: DrainDeviceRequest, { principal, signal }: OperatorsCall) {
    const { drained = true, waitMs } = request;
    if (waitMs > limits.waitMsMax) {
      throw invalid("wait_ms", `is ${waitMs}, at most ${limits.waitMsMax}`);
    }
    if (waitMs > 0 && !drained) throw invalid("wait_ms", "is only for a device that is drained");
    const device = this.device(request.deviceId);
    device.drain(drained);
    this.modules.log.info({ principal, device: device.id, drained }, "operator: drain");
    await this.untilQuiet(device, waitMs, signal);
    return create(DrainDeviceResponseSchema, { device: this.view(device) });
  }

  restartProver(request: RestartProverRequest, { principal }: OperatorsCall) {
    const role = roleOf(request);
    const device = this.device(request.deviceId);
    if (role === "standby" && device.state.standby === null) {
      throw new Refusal("not_found", "role", `device ${device.id} has no standby at the moment`);
    }
    device.restart(role);
    this.modules.log.info({ principal, device: device.id, role }, "operator: restart");
    return create(RestartProverResponseSchema, { device: this.view(device) });
  }

  endSession({ sessionId }: EndSessionRequest, { principal }: OperatorsCall) {
    const { aggregator, log } = this.modules;
    if (sessionId === "") throw invalid("session_id", "is empty");
    const live = aggregator.listSessions().find(({ id }) => id === sessionId);
    if (live === undefined) {
      if (aggregator.retains(sessionId)) return create(EndSessionResponseSchema);
      throw new Refusal("not_found", "session_id", `no session ${JSON.stringify(sessionId)}`);
    }
    const { groups } = live.state;
    const queuedGroupsEnded = groups.filter(({ kind }) => kind === "queued").length;
    const runningGroupsEnded = groups.filter(({ kind }) => kind === "running").length;
    aggregator.endSession(sessionId);
    const line = {
      principal,
      session: sessionId,
      queued: queuedGroupsEnded,
      running: runningGroupsEnded,
    };
    log.info(line, "operator: end session");
    return create(EndSessionResponseSchema, { queuedGroupsEnded, runningGroupsEnded });
  }

  private device(deviceId: string): LaneRunner {
    if (deviceId === "") throw invalid("device_id", "is empty");
    const devices = this.modules.dispatcher.devices();
    const device = devices.find(({ id }) => id === deviceId);
    if (device !== undefined) return device;
    const names = devices.map(({ id }) => id).join(", ");
    const detail = `no device ${JSON.stringify(deviceId)}, there are: ${names}`;
    throw new Refusal("not_found", "device_id", detail);
  }

  private view(device: LaneRunner) {
    const { aggregator, clock } = this.modules;
    return deviceView(device, aggregator.listSessions(), clock.nowMs());
  }

  private async untilQuiet(device: LaneRunner, waitMs: number, signal: AbortSignal) {
    if (waitMs === 0) return;
    const { clock } = this.modules;
    const timeout = new AbortController();
    const cancel = clock.at(clock.nowMs() + waitMs, () => timeout.abort());
    await device.untilQuiet(AbortSignal.any([timeout.signal, signal]));
    cancel();
  }
}

function roleOf({ role }: RestartProverRequest): LaneProver["role"] {
  switch (role) {
    case ProverRole.UNSPECIFIED:
    case ProverRole.ACTIVE:
      return "active";
    case ProverRole.STANDBY:
      return "standby";
    default:
      throw invalid("role", `${String(role)} is unknown`);
  }
}
