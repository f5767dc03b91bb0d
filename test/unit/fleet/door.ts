/** A door with its lanes of scripted hosts, in virtual time: what its dispatcher would hear. */
import { VirtualClock } from "../../../tools/sim/virtual-clock.js";
import { Registry } from "prom-client";
import { MemoryBroker } from "../../../server/engine/memory-engine.js";
import type { MemoryEngine } from "../../../server/engine/memory-engine.js";
import { createDoorMetrics } from "../../../server/fleet/door/door-metrics.js";
import type { RemoteLanesOptions } from "../../../server/fleet/door/remote-lanes.js";
import { RemoteLanes } from "../../../server/fleet/door/remote-lanes.js";
import type { Assignment, FromLink, LaneLink } from "../../../server/lane/lane-messages.js";
import type { ReadyVerifier } from "../../../server/lane/local-lanes.js";
import type { Logger } from "../../../server/log/log.js";
import { createMetrics } from "../../../server/metrics/metrics.js";
import { MemoryBudget } from "../../../server/memory-budget.js";
import type { FoldWork, GroupWork, MergeWork } from "../../../server/work/group.js";
import { proofSystemOf } from "../../../server/work/prover-description.js";
import { inputDigest } from "../../../server/work/input-digest.js";
import { CELL, description, ScriptedHost } from "../../helpers/scripted-host.js";

/** The proof system of scripted hosts. */
export const SYSTEM = proofSystemOf(description);
export const DOOR_RUN = "00000000000000dd";

/** Work of so many raw signatures of validators 10, 11, …; each signature of `signatureBytes`. */
export function workOf(count: number, signatureBytes = 64): FoldWork {
  return {
    kind: "fold",
    message: { root: new Uint8Array(32).fill(7), slot: 5 },
    raws: {
      validators: Array.from({ length: count }, (_, at) => 10 + at),
      keys: new Uint8Array(count * 32).map((_, at) => Math.floor(at / 32)),
      signatures: new Uint8Array(count * signatureBytes).map((_, at) => at % 251),
    },
    children: [],
    leftOut: [],
    logInvRate: 0,
  };
}

/** The merge of a message with two raw signatures and of one with a proof. */
export function mergeOf(): MergeWork {
  const { message, raws } = workOf(2);
  const child = { index: 1, validators: [7], keys: new Uint8Array(32), proof: Uint8Array.of(1, 2) };
  const components: MergeWork["components"] = [
    { message, from: { kind: "raws", raws } },
    { message: { ...message, slot: 6 }, from: { kind: "proof", child } },
  ];
  return { kind: "merge", components, leftOut: [], logInvRate: 0 };
}

/** What the dispatcher hears of one device, in order. */
export type Told =
  | { kind: "added"; atMs: number }
  | { kind: "gone"; atMs: number; why: string }
  | (FromLink & { atMs: number });

class TestDoor {
  readonly engine: MemoryEngine;
  readonly registry = new Registry();
  readonly service = createMetrics();
  readonly memory = new MemoryBudget(1e9);
  readonly lanes: RemoteLanes;
  readonly links = new Map<string, LaneLink>();
  readonly told = new Map<string, Told[]>();
  readonly logged: { line: object; text: string }[] = [];
  changes = 0;
  own: ReadyVerifier | undefined;

  constructor(
    readonly clock: VirtualClock,
    broker: MemoryBroker,
    readonly id = "d1",
    options: Partial<RemoteLanesOptions> = {},
  ) {
    this.engine = broker.connect(id);
    const record = (line: object, text = "") => void this.logged.push({ line, text });
    const log: Logger = { debug: () => undefined, info: record, warn: record, error: record };
    this.lanes = new RemoteLanes(
      {
        cell: CELL,
        door: { id, run: DOOR_RUN },
        verify: "other-host",
        ...options,
      },
      {
        ...{ clock, log, engine: this.engine, memory: this.memory },
        metrics: createDoorMetrics(this.registry),
        service: this.service,
        ownVerifier: (system) => (system === SYSTEM ? this.own : undefined),
      },
    );
    const tell = (deviceId: string, told: Told) => {
      this.told.set(deviceId, [...(this.told.get(deviceId) ?? []), told]);
    };
    const atMs = () => clock.nowMs();
    this.lanes.open(
      {
        added: (link) => {
          this.links.set(link.deviceId, link);
          tell(link.deviceId, { kind: "added", atMs: atMs() });
        },
        heard: (deviceId, message) => tell(deviceId, { ...message, atMs: atMs() }),
        gone: (deviceId, why) => tell(deviceId, { kind: "gone", why, atMs: atMs() }),
      },
      () => void this.changes++,
    );
  }

  of(deviceId: string): readonly Told[] {
    return this.told.get(deviceId) ?? [];
  }

  /** What it heard of the device but for announcements. */
  events(deviceId: string): string[] {
    return this.of(deviceId).flatMap(({ kind }) => (kind === "announce" ? [] : [kind]));
  }

  last(deviceId: string) {
    const announcements = this.of(deviceId).flatMap((each) =>
      each.kind === "announce" ? [each] : [],
    );
    return announcements.at(-1);
  }

  results(deviceId: string) {
    return this.of(deviceId).flatMap((each) => (each.kind === "ended" ? [each] : []));
  }

  assign(deviceId: string, attempt: number, work: GroupWork, lease = 1, fenceInMs = 6000): void {
    const nowMs = this.clock.nowMs();
    const assignment: Assignment = {
      work,
      digest: inputDigest(work, description),
      deadlineAtMs: nowMs + 750,
      fenceAtMs: nowMs + fenceInMs,
      isFirstOfSession: true,
      steps: [],
      isExploration: false,
      mayShed: false,
      minInputs: 1,
      rotation: 0,
      isRetry: false,
    };
    this.links.get(deviceId)?.send({ kind: "assign", lease, attempt, assignment });
  }

  async count(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const metric = await this.registry.getSingleMetric(`lean_aggregator_server_${name}`)?.get();
    const isSame = (of: Partial<Record<string, string | number>>) =>
      Object.entries(labels).every(([key, value]) => of[key] === value);
    const values = metric?.values.filter((each) => isSame(each.labels)) ?? [];
    return values.reduce((sum, { value }) => sum + value, 0);
  }
}

/** Virtual time with an engine, and hosts on it. */
export function fleet() {
  const clock = new VirtualClock();
  const broker = new MemoryBroker({ clock });
  let runs = 0;
  return {
    clock,
    broker,
    host: (id: string, offsetMs = 0) => new ScriptedHost(id, broker, clock, offsetMs, ++runs),
    door: (id = "d1", options: Partial<RemoteLanesOptions> = {}) =>
      new TestDoor(clock, broker, id, options),
    run: async (ms: number) => {
      // Whatever was sent already is heard first.
      await new Promise((resolve) => setImmediate(resolve));
      await clock.runUntil(clock.nowMs() + ms, () => undefined);
    },
  };
}
