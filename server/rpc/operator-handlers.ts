/**
 * The calls of AdminService. Each call that changes something is logged. As in `handlers.ts`, a
 * method refuses a call by throwing a `Refusal`.
 */
import { create } from "@bufbuild/protobuf";
import { createLinkedAbortController } from "@connectrpc/connect/protocol";
import type {
  DrainDeviceRequest,
  EndSessionRequest,
  RestartProverRequest,
  SetLogLevelRequest,
  StreamActivityRequest,
} from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import {
  AdminService,
  DrainDeviceResponseSchema,
  EndSessionResponseSchema,
  GetLogLevelResponseSchema,
  ListHostsResponseSchema,
  ListProversResponseSchema,
  ListSessionsResponseSchema,
  LogLevel,
  ProverRole,
  RestartProverResponseSchema,
  SetLogLevelResponseSchema,
} from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import type { Access } from "../access/access.js";
import type { ActivityFeed } from "../activity.js";
import type { AuditTrail } from "../audit/audit-log.js";
import type { Clock } from "../clock.js";
import { invalid, quoted, Refusal } from "../errors.js";
import { limits } from "../limits.js";
import { logLevels } from "../log/log.js";
import type { LeveledLogger, LogLevel as LevelName } from "../log/log.js";
import type { Schedules } from "../schedule/schedules.js";
import type { FleetView } from "../lane/lane-hosts.js";
import type { LaneReport, LaneRole, OperatorCommand } from "../lane/lane-messages.js";
import type { OperatedDevice } from "../schedule/lane-handle.js";
import type { Admission } from "../admission/admission.js";
import type { Recorder } from "../recording/recorder.js";
import type { CallContext } from "./call/call-context.js";
import type { Routes } from "./routes.js";
import { deviceView, fleetView, sessionView } from "./messages/operator-views.js";
import type { ServiceStatus } from "./service-status.js";
import { recordActivity } from "./record-activity.js";
import type { ServiceNames } from "./stream-activity.js";
import { activityOf, livePace } from "./stream-activity.js";

/** A lane in this process confirms a command at once, one elsewhere in its next report. */
const CONFIRM_MS_MAX = 5000;

/** The part of a call that these handlers need. */
type OperatorsCall = Pick<CallContext, "principal" | "signal" | "draining">;

/** Names this run of the service and its program. */
export interface AdminHandlersOptions {
  /** Identifies this run of the service: 16 hexadecimal digits. */
  instance: string;
  /** Names the service, over all its runs. */
  serviceId: string;
  version: string;
}

export interface AdminHandlersModules {
  admission: Admission;
  schedules: Schedules;
  status: ServiceStatus;
  clock: Clock;
  log: LeveledLogger;
  access: Access;
  activity: ActivityFeed;
  /** Undefined when no audit record is kept. */
  audit?: AuditTrail | undefined;
  /** The cores of each device that has some set, such as `0-3`. */
  cores: ReadonlyMap<string, string>;
  /** The engine and the lane hosts on it; undefined without an engine. */
  fleet(): Promise<FleetView | undefined>;
}

/** Adds the calls of AdminService to a server's routes. */
export function addOperatorRoutes(routes: Routes, calls: AdminHandlers): void {
  const { method } = AdminService;
  routes
    .unary(method.listSessions, () => calls.listSessions())
    .unary(method.listProvers, () => calls.listProvers())
    .unary(method.listHosts, () => calls.listHosts())
    .unary(method.drainDevice, (request, call) => calls.drainDevice(request, call))
    .unary(method.restartProver, (request, call) => calls.restartProver(request, call))
    .unary(method.endSession, (request, call) => calls.endSession(request, call))
    .unary(method.getLogLevel, () => calls.getLogLevel())
    .unary(method.setLogLevel, (request, call) => calls.setLogLevel(request, call))
    .serverStream(method.streamActivity, (request, call) => calls.streamActivity(request, call));
}

export class AdminHandlers {
  private readonly names: ServiceNames;
  /** Ends the recording of activity; undefined when nothing is recorded. */
  private endRecording: (() => Promise<void>) | undefined;
  /** Open `StreamActivity` calls. */
  private looking = 0;

  constructor(
    { instance: run, serviceId, version: serverVersion }: AdminHandlersOptions,
    private readonly modules: AdminHandlersModules,
  ) {
    this.names = { run, serviceId, serverVersion };
  }

  /** Keeps what the live page is shown in the recording, if there is one, until `close`. */
  record(recorder: Recorder | undefined): void {
    this.endRecording = recorder && recordActivity(this.names, { ...this.modules, recorder });
  }

  /** Resolves once the recording has all activity. Idempotent. */
  async close(): Promise<void> {
    await this.endRecording?.();
  }

  listSessions() {
    const { admission, schedules, clock } = this.modules;
    const nowMs = clock.nowMs();
    const sessions = admission
      .listSessions()
      .map((session) => sessionView(session, nowMs, (attempt) => schedules.progressOf(attempt)));
    return create(ListSessionsResponseSchema, { sessions });
  }

  listProvers() {
    const devices = this.modules.schedules
      .devices()
      .map((device) => this.view(device, device.report));
    return create(ListProversResponseSchema, { devices });
  }

  async listHosts() {
    const fleet = await this.modules.fleet();
    const nowMs = this.modules.clock.nowMs();
    return create(ListHostsResponseSchema, fleet && fleetView(fleet, nowMs));
  }

  async drainDevice(
    request: DrainDeviceRequest,
    call: OperatorsCall & Pick<CallContext, "credential">,
  ) {
    const { drained = true, waitMs } = request;
    if (waitMs > limits.waitMsMax) {
      throw invalid("wait_ms", `is ${waitMs}, at most ${limits.waitMsMax}`);
    }
    if (waitMs > 0 && !drained) throw invalid("wait_ms", "is only for a device that is drained");
    const device = this.device(request.deviceId);
    const { deviceId } = device;
    this.acted("drain", { principal: call.principal, device: deviceId, drained });
    const report = await this.order(device, { kind: "drain", isDrained: drained }, call);
    if (waitMs === 0)
      return create(DrainDeviceResponseSchema, { device: this.view(device, report) });
    const ask = { call: "DrainDevice", isOperators: true };
    const grant = this.modules.access.openWait(call.credential, ask);
    try {
      const reader = { ...call, signal: AbortSignal.any([call.signal, grant.signal]) };
      const quiet = await this.within(waitMs, reader, (ended) => device.untilQuiet(ended));
      grant.signal.throwIfAborted();
      if (quiet.kind === "gone") throw hasGone(device, quiet.why);
      return create(DrainDeviceResponseSchema, { device: this.view(device, device.report) });
    } finally {
      grant.close();
    }
  }

  async restartProver(request: RestartProverRequest, call: OperatorsCall) {
    const role = roleOf(request);
    const device = this.device(request.deviceId);
    const { deviceId, report } = device;
    if (role === "standby" && !report.provers.some((prover) => prover.role === role)) {
      throw new Refusal("not_found", "role", `device ${deviceId} has no standby at the moment`);
    }
    this.acted("restart", { principal: call.principal, device: deviceId, role });
    const after = await this.order(device, { kind: "restart", role }, call);
    return create(RestartProverResponseSchema, { device: this.view(device, after) });
  }

  endSession({ sessionId }: EndSessionRequest, { principal }: OperatorsCall) {
    const { admission } = this.modules;
    if (sessionId === "") throw invalid("session_id", "is empty");
    const session = admission.listSessions().find(({ id }) => id === sessionId);
    if (session === undefined) {
      if (admission.retains(sessionId)) return create(EndSessionResponseSchema);
      throw new Refusal("not_found", "session_id", `no session ${quoted(sessionId)}`);
    }
    const { groups } = session.state;
    const queuedGroupsEnded = groups.filter(({ kind }) => kind === "queued").length;
    const runningGroupsEnded = groups.filter(({ kind }) => kind === "running").length;
    admission.endSession(sessionId);
    const line = {
      principal,
      session: sessionId,
      queued: queuedGroupsEnded,
      running: runningGroupsEnded,
    };
    this.acted("end session", line);
    return create(EndSessionResponseSchema, { queuedGroupsEnded, runningGroupsEnded });
  }

  getLogLevel() {
    return create(GetLogLevelResponseSchema, { level: levelOnWire(this.modules.log.level) });
  }

  setLogLevel({ level }: SetLogLevelRequest, { principal }: OperatorsCall) {
    const { log } = this.modules;
    const name = levelOf(level);
    if (name === undefined) throw invalid("level", `${String(level)} is no level to log`);
    const previous = levelOnWire(log.level);
    log.level = name;
    this.acted("set log level", { principal, level: name });
    return create(SetLogLevelResponseSchema, { previous });
  }

  async *streamActivity(
    request: StreamActivityRequest,
    call: OperatorsCall & Pick<CallContext, "credential">,
  ) {
    const { access } = this.modules;
    if (this.looking >= limits.activityStreamsMax) {
      const detail = `${limits.activityStreamsMax} streams of activity are open: close one`;
      throw new Refusal("resource_exhausted", "", detail);
    }
    const ask = { call: "StreamActivity", isOperators: true };
    const grant = access.openWait(call.credential, ask);
    this.looking++;
    try {
      const reader = { ...call, revoked: grant.signal };
      const asked = { noFollow: request.noFollow, pace: livePace };
      yield* activityOf(asked, reader, this.names, this.modules);
      grant.signal.throwIfAborted();
    } finally {
      this.looking--;
      grant.close();
    }
  }

  /** Logs what the operator asked for, and adds it to the audit record. */
  private acted(act: string, line: Readonly<Record<string, unknown>>): void {
    this.modules.log.info(line, `operator: ${act}`);
    this.modules.audit?.add("act", { act, ...line });
  }

  private device(deviceId: string): OperatedDevice {
    if (deviceId === "") throw invalid("device_id", "is empty");
    const devices = this.modules.schedules.devices();
    const device = devices.find((each) => each.deviceId === deviceId);
    if (device !== undefined) return device;
    const names = devices.map((each) => each.deviceId).join(", ");
    const has = names === "" ? "none" : names;
    const detail = `no device ${quoted(deviceId)}: this service has ${has}`;
    throw new Refusal("not_found", "device_id", detail);
  }

  private view({ deviceId }: OperatedDevice, report: LaneReport) {
    const { admission, schedules, clock } = this.modules;
    const wholeOf = (number: number) => schedules.wholeOf(number);
    const running = { sessions: admission.listSessions(), wholeOf };
    return deviceView(deviceId, report, running, clock.nowMs());
  }

  /** Sends a command; resolves with the report that confirms it, else rejects with a `Refusal`. */
  private async order(
    device: OperatedDevice,
    command: OperatorCommand,
    call: OperatorsCall,
  ): Promise<LaneReport> {
    const done = await this.within(CONFIRM_MS_MAX, call, (ended) => device.order(command, ended));
    if (done.kind === "reported") return done.report;
    if (done.kind === "gone") throw hasGone(device, done.why);
    const detail = `device ${device.deviceId} has not confirmed in time; the command stays pending`;
    throw new Refusal("unavailable", "device_id", detail);
  }

  /** Calls `wait` with a signal that aborts after `ms`, when the call ends or the server drains. */
  private async within<T>(
    ms: number,
    { signal, draining }: OperatorsCall,
    wait: (ended: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { clock } = this.modules;
    const ended = createLinkedAbortController(signal, draining);
    const cancel = clock.at(clock.nowMs() + ms, () => ended.abort());
    try {
      return await wait(ended.signal);
    } finally {
      cancel();
      ended.abort();
    }
  }
}

function hasGone({ deviceId }: OperatedDevice, why: string): Refusal {
  return new Refusal("unavailable", "device_id", `device ${deviceId} has gone: ${why}`);
}

const levelsOnWire: Readonly<Record<LevelName, LogLevel>> = {
  debug: LogLevel.DEBUG,
  info: LogLevel.INFO,
  warn: LogLevel.WARN,
  error: LogLevel.ERROR,
  silent: LogLevel.SILENT,
};

function levelOnWire(level: string): LogLevel {
  return Object.entries(levelsOnWire).find(([name]) => name === level)?.[1] ?? LogLevel.UNSPECIFIED;
}

function levelOf(level: LogLevel): LevelName | undefined {
  return logLevels.find((name) => levelsOnWire[name] === level);
}

function roleOf({ role }: RestartProverRequest): LaneRole {
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
