/** Sessions, scheduler and handlers without sockets, on a fake prover that takes no time. */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { fromBinary } from "@bufbuild/protobuf";
import { Access } from "../../server/access/access.js";
import { ActivityFeed } from "../../server/activity.js";
import { invalid } from "../../server/errors.js";
import { limits } from "../../server/limits.js";
import { createLog } from "../../server/log/log.js";
import { MemoryBudget } from "../../server/memory-budget.js";
import { createMetrics } from "../../server/metrics/metrics.js";
import { startFakeProver } from "../../server/prover/fake/fake.js";
import { checkBinaryCount } from "../../server/rpc/call/request-limits.js";
import { AdminHandlers } from "../../server/rpc/operator-handlers.js";
import type { CallContext } from "../../server/rpc/call/call-context.js";
import { Handlers } from "../../server/rpc/handlers.js";
import { ServiceStatus } from "../../server/rpc/service-status.js";
import { peerAt } from "../../server/net/peer.js";
import { LocalLanes } from "../../server/lane/local-lanes.js";
import { Schedules } from "../../server/schedule/schedules.js";
import { Admission } from "../../server/admission/admission.js";
import { SkippingClock } from "../harness/skipping-clock.js";

export class InProcess {
  readonly memory = new MemoryBudget(limits.heldBytesMax);
  readonly handlers: Handlers;
  readonly admin: AdminHandlers;
  readonly clock = new SkippingClock();
  private readonly admission: Admission;
  private readonly lanes: LocalLanes;
  private readonly schedules: Schedules;

  private constructor(leafRawsMax: number) {
    const { clock, memory } = this;
    const log = createLog("silent");
    const metrics = createMetrics();
    const instance = "00000000000000fa";
    const prove = { proveMs: () => 0, sleep: () => Promise.resolve() };
    this.lanes = new LocalLanes(
      [{ id: "cpu", startProver: () => startFakeProver(prove) }],
      { standbyBytesMax: 0, residentBytesMax: 1e9, refreshShare: 0 },
      { clock, log, metrics, post: (message, receive) => queueMicrotask(() => receive(message)) },
    );
    this.schedules = new Schedules({ leafRawsMax }, { clock, metrics });
    const { schedules } = this;
    this.admission = new Admission({ instance }, { clock, log, metrics, schedules, memory });
    const options = {
      instance,
      serviceId: "fuzz",
      version: "fuzz",
      deadlineMs: 750,
      fenceMs: 6400,
    };
    const access = new Access(undefined, { clock, log, metrics });
    const { admission } = this;
    this.handlers = new Handlers(options, {
      access,
      admission,
      status: new ServiceStatus({ admission, schedules }),
      schedules,
      clock,
      verifier: (system) => this.lanes.verifier(system),
    });
    const fleet = () => Promise.resolve(undefined);
    const activity = new ActivityFeed(64);
    const status = new ServiceStatus({ admission, schedules });
    this.admin = new AdminHandlers(options, {
      ...{ admission, schedules, status, clock, log, access, activity, fleet, cores: new Map() },
    });
  }

  /** @param leafRawsMax most raw signatures of one proof: larger groups are trees of jobs; 0: no limit */
  static async start(leafRawsMax = 0): Promise<InProcess> {
    const made = new InProcess(leafRawsMax);
    made.lanes.open(made.schedules);
    await made.schedules.ready();
    return made;
  }

  /** A call that has just been received. `draining`: what there is is delivered, and no more. */
  context(draining = false): CallContext {
    const never = new AbortController().signal;
    return {
      receivedAtMs: this.clock.nowMs(),
      callDeadlineMs: undefined,
      signal: never,
      peer: peerAt("127.0.0.1:0", false),
      credential: { kind: "loopback" },
      principal: "fuzz",
      // What an answer holds, its stack gives back.
      holdAnswer: () => undefined,
      draining: draining ? AbortSignal.abort() : never,
    };
  }

  /** Past every fence and retention: nothing may be held from here on. */
  forgetAll(): void {
    this.clock.skip(limits.fenceMsMax + limits.retentionMs + 1);
    this.admission.expire();
  }

  close(): Promise<void> {
    this.schedules.close();
    return this.lanes.close();
  }
}

/** As the server decodes a request. */
export function decodeRequest<Schema extends DescMessage>(
  schema: Schema,
  bytes: Uint8Array,
): MessageShape<Schema> {
  checkBinaryCount(schema, bytes);
  try {
    return fromBinary(schema, bytes, { readUnknownFields: false });
  } catch {
    throw invalid("", `the message is not a ${schema.typeName}`);
  }
}
