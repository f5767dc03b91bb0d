/**
 * A door of the simulated fleet in one of its runs: the real admission, schedule, lanes and result
 * streams in one simulated process. Of what crosses the network to its nodes, only the streams are
 * the real ones; a snapshot comes decoded.
 */
import { setMaxListeners } from "node:events";
import type {
  StreamResultsRequest,
  StreamResultsResponse,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { Admission } from "../../../server/admission/admission.js";
import { Refusal } from "../../../server/errors.js";
import type { LaneOptions } from "../../../server/lane/lane-events.js";
import type { Engine } from "../../../server/engine/engine.js";
import { createDoorMetrics } from "../../../server/fleet/door/door-metrics.js";
import { RemoteLanes } from "../../../server/fleet/door/remote-lanes.js";
import type { LaneListener, ToLane } from "../../../server/lane/lane-messages.js";
import type { Device } from "../../../server/lane/device.js";
import type { NextAttempt } from "../../../server/schedule/dispatcher.js";
import { LocalLanes } from "../../../server/lane/local-lanes.js";
import { limits } from "../../../server/limits.js";
import type { Logger } from "../../../server/log/log.js";
import { MemoryBudget } from "../../../server/memory-budget.js";
import { createMetrics } from "../../../server/metrics/metrics.js";
import { ServiceStatus } from "../../../server/rpc/service-status.js";
import { resultsOf } from "../../../server/rpc/stream-results.js";
import { Schedules } from "../../../server/schedule/schedules.js";
import type { SubmitAnswer, Submission } from "../../../server/work/submission.js";
import { watchedSource } from "../../harness/processes/watched-source.js";
import { workName } from "../work/sim-keys.js";
import type { Snapshot } from "./snapshot.js";
import type { SimProcess } from "./sim-process.js";

const EXPIRE_EVERY_MS = 250;

/** Hears at once what the door does, for the invariants. */
export interface DoorWitness {
  /** The door has accepted the snapshot, or answered a retry of one that it had accepted. */
  submitted(door: SimDoor, submission: Submission, answer: SubmitAnswer): void;
  /** The door assigns this to a lane. */
  attempted(door: SimDoor, attempt: NextAttempt): void;
  /** The door's schedule sends this to a lane of a host. */
  assigned(door: SimDoor, device: string, message: ToLane): void;
  /** The door sends this to a node. */
  sent(door: SimDoor, response: StreamResultsResponse): void;
}

export interface SimDoorOptions {
  /** Names the door over all its runs. */
  id: string;
  /** Names this run: 16 hexadecimal digits. */
  run: string;
  /** The door's own devices. */
  devices: readonly Device[];
  lanes: LaneOptions;
  cell: string;
}

export interface SimDoorModules {
  process: SimProcess;
  log: Logger;
  engine: Engine;
  witness: DoorWitness;
}

export class SimDoor {
  readonly process: SimProcess;
  readonly admission: Admission;
  readonly memory = new MemoryBudget(limits.heldBytesMax);
  readonly schedules: Schedules;
  private readonly lanes: LocalLanes;
  private readonly remote: RemoteLanes;
  private readonly fences = new Map<string, number>();
  private readonly status: ServiceStatus;
  private readonly draining = new AbortController();
  private isClosed = false;
  private wasUp = false;

  constructor(
    private readonly options: SimDoorOptions,
    private readonly modules: SimDoorModules,
  ) {
    const { process, log, engine } = modules;
    const { clock } = process;
    const metrics = createMetrics();
    this.process = process;
    const post = <Message>(message: Message, receive: (message: Message) => void) =>
      process.post(() => receive(message));
    this.lanes = new LocalLanes(options.devices, options.lanes, { clock, log, metrics, post });
    const { memory } = this;
    const sourceOf = watchedSource((attempt) => modules.witness.attempted(this, attempt));
    this.schedules = new Schedules(
      { deciders: options.devices.map(({ id }) => id) },
      { clock, metrics, sourceOf },
    );
    const { schedules } = this;
    const { id, run, cell } = options;
    this.remote = new RemoteLanes(
      {
        cell,
        door: { id, run },
        verify: "other-host",
      },
      {
        ...{ clock, log, engine, memory: this.memory },
        metrics: createDoorMetrics(metrics.registry),
        service: metrics,
        ownVerifier: (system) => this.lanes.verifier(system),
      },
    );
    this.admission = new Admission(
      { instance: options.run },
      { clock, log, metrics, schedules, memory },
    );
    setMaxListeners(0, this.draining.signal); // each stream adds some
    this.status = new ServiceStatus({ admission: this.admission, schedules });
  }

  get id(): string {
    return this.options.id;
  }

  get run(): string {
    return this.options.run;
  }

  open(): void {
    const { clock } = this.process;
    this.lanes.open(this.schedules);
    this.remote.open(this.watched(this.schedules), () => this.status.update());
    const expire = () => {
      if (this.isClosed) return;
      this.admission.expire();
      this.status.update();
      clock.at(clock.nowMs() + EXPIRE_EVERY_MS, expire);
    };
    expire();
  }

  /** The instant of the door's clock at which the request's proofs are erased. */
  fenceOf(requestId: string): number {
    const found = this.fences.get(requestId);
    if (found === undefined) throw new Error(`${this.id} has not accepted ${requestId}`);
    return found;
  }

  submit(snapshot: Snapshot, budgets: { deadlineMs: number; fenceMs: number }): SubmitAnswer {
    const nowMs = this.process.clock.nowMs();
    const { nodeId, requestId, slot, priority, groups, mayShed, minInputs } = snapshot;
    const deadlineMs = Math.min(budgets.deadlineMs, budgets.fenceMs);
    const submission: Submission = {
      nodeId,
      nodeEpoch: 1n,
      principal: { name: "sim", quota: {} },
      requestId,
      contentDigest: requestId,
      slot: BigInt(slot),
      priority: priorities[priority],
      shouldReplace: false,
      mayShed,
      receivedAtMs: nowMs,
      deadlineAtMs: nowMs + deadlineMs,
      fenceAtMs: nowMs + budgets.fenceMs,
      minInputs,
      steps: [],
      bytes: 1000,
      groups,
      accepted: { deadlineMs, fenceMs: budgets.fenceMs, deadlineSource: 1 },
    };
    const isLookup = deadlineMs === 0;
    const answer = this.admission.submit({ ...submission, isLookup }, () => groups);
    if (answer.kind === "accepted" && !this.fences.has(requestId))
      this.fences.set(requestId, submission.fenceAtMs);
    this.modules.witness.submitted(this, submission, answer);
    return answer;
  }

  /** The work for which groups wait here that have not ended, by its name. */
  wanted(): string[] {
    return this.admission
      .listSessions()
      .flatMap(({ state, submission }) =>
        submission.groups.flatMap(({ work }, at) =>
          state.groups[at]?.kind === "ended" ? [] : [workName(work)],
        ),
      );
  }

  cancel(nodeId: string, requestId: string, groups: readonly number[]): void {
    try {
      this.admission.cancel(nodeId, requestId, groups);
    } catch (error) {
      if (!(error instanceof Refusal) || error.kind !== "not_found") throw error;
    }
  }

  /** Streams results until the node has left. Never rejects. */
  async stream(
    request: StreamResultsRequest,
    left: AbortSignal,
    node: { take: (response: StreamResultsResponse) => void; ended: () => void },
  ): Promise<void> {
    const { clock } = this.process;
    const { id: serviceId, run } = this.options;
    const { signal: revoked } = new AbortController();
    const reader = { signal: left, draining: this.draining.signal, revoked };
    try {
      const { nodeId = "", nodeEpoch = 0n } = request.node ?? {};
      const record = this.admission.enter(nodeId, nodeEpoch);
      const modules = { clock, status: this.status, serviceId, run };
      for await (const response of resultsOf(record, request, reader, modules)) {
        this.modules.witness.sent(this, response);
        node.take(structuredClone(response));
      }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
    node.ended();
  }

  /** As on SIGTERM: drains, then ends everything. */
  async close(drainMs: number): Promise<void> {
    const drained = this.admission.drain(drainMs);
    this.status.update();
    await drained;
    this.isClosed = true;
    this.draining.abort();
    this.schedules.close();
    this.remote.close();
    await this.lanes.close();
    await this.modules.engine.close();
  }

  /** The listener, with what it sends to lanes of other hosts seen first. */
  private watched(listener: LaneListener): LaneListener {
    return {
      added: (link) => {
        const { deviceId } = link;
        const send = (message: ToLane) => {
          this.modules.witness.assigned(this, deviceId, message);
          link.send(message);
        };
        listener.added({ deviceId, send });
      },
      heard: (deviceId, message) => {
        listener.heard(deviceId, message);
        if (this.schedules.isUp !== this.wasUp) this.status.update();
        this.wasUp = this.schedules.isUp;
      },
      gone: (deviceId, why) => listener.gone(deviceId, why),
    };
  }
}

const priorities = { proposal: 1, aggregation: 2, backlog: 3 } as const;
