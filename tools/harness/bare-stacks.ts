/** Both RPC stacks over handlers, budget and clock of the test's own. */
import { create } from "@bufbuild/protobuf";
import {
  CancelSessionResponseSchema,
  GetServerInfoResponseSchema,
  GetSessionResponseSchema,
  SubmitSnapshotResponseSchema,
  VerifyAggregateResponseSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Policy } from "../../server/access/policy.js";
import { Access } from "../../server/access/access.js";
import type { Clock } from "../../server/clock.js";
import { systemClock } from "../../server/clock.js";
import { createLog } from "../../server/log.js";
import type { Logger } from "../../server/log.js";
import { MemoryBudget } from "../../server/memory-budget.js";
import { createMetrics } from "../../server/metrics.js";
import type { Metrics } from "../../server/metrics.js";
import { GrpcServer } from "../../server/rpc/grpc-server.js";
import type { Calls } from "../../server/rpc/handlers.js";
import { HttpEdge } from "../../server/rpc/server.js";
import type { TlsSettings } from "../../server/net/tls-files.js";
import { TlsSource } from "../../server/net/tls-source.js";
import { createTransportMetrics } from "../../server/net/metrics.js";

/** Answers every call with nothing in it. */
const emptyCalls: Calls = {
  submitSnapshot: () => create(SubmitSnapshotResponseSchema),
  getSession: () => Promise.resolve(create(GetSessionResponseSchema)),
  cancelSession: () => create(CancelSessionResponseSchema),
  verifyAggregate: () => Promise.resolve(create(VerifyAggregateResponseSchema)),
  getServerInfo: () => create(GetServerInfoResponseSchema),
  streamResults: async function* () {},
};

/** A budget that notifies when it holds a given number of bytes. */
export class WatchedBudget extends MemoryBudget {
  private readonly waiting: Set<() => void>;

  constructor(bytesMax: number, callRefused = () => {}) {
    const waiting = new Set<() => void>();
    super(bytesMax, () => waiting.forEach((look) => look()), callRefused);
    this.waiting = waiting;
  }

  reaches(bytes: number): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (this.heldBytes !== bytes) return;
        this.waiting.delete(look);
        resolve();
      };
      this.waiting.add(look);
      look();
    });
  }
}

/** A clock whose timers fire when the test says so, or moves time on. */
export class HeldClock implements Clock {
  private skippedMs = 0;
  private readonly timers = new Set<{ instantMs: number; callback: () => void }>();
  nowMs = () => systemClock.nowMs() + this.skippedMs;
  unixMs = () => systemClock.unixMs();

  at(instantMs: number, callback: () => void): () => void {
    const timer = { instantMs, callback };
    this.timers.add(timer);
    return () => void this.timers.delete(timer);
  }

  /** Timers set and neither fired nor cancelled. */
  get pending(): number {
    return this.timers.size;
  }

  fireAll(): void {
    this.fire(() => true);
  }

  /** Moves time on, and fires what is due by then. */
  skip(ms: number): void {
    this.skippedMs += ms;
    this.fire(({ instantMs }) => instantMs <= this.nowMs());
  }

  private fire(isDue: (timer: { instantMs: number }) => boolean): void {
    for (const timer of [...this.timers].filter(isDue)) {
      this.timers.delete(timer);
      timer.callback();
    }
  }
}

export interface BareStacks {
  memory: WatchedBudget;
  metrics: Metrics;
  /** Host and port by stack: the data plane, and the HTTP edge. */
  addresses: { grpc: string; edge: string };
  grpc: GrpcServer;
  edge: HttpEdge;
  close(): Promise<void>;
}

export interface BareOptions {
  calls?: Partial<Calls>;
  bytesMax?: number;
  clock?: Clock;
  log?: Logger;
  tls?: TlsSettings;
  policy?: Policy;
}

export async function startBareStacks(options: BareOptions = {}): Promise<BareStacks> {
  const { calls = {}, bytesMax = 256 * 1024 * 1024, clock = systemClock } = options;
  const handlers = { ...emptyCalls, ...calls };
  const log = options.log ?? createLog("silent");
  const metrics = createMetrics();
  const memory = new WatchedBudget(bytesMax, () => metrics.unreadRefusals.inc());
  const access = new Access(options.policy, { clock, log, metrics });
  const transport = createTransportMetrics(metrics.registry);
  const modules = { clock, memory, transport, log, access };
  const tls = options.tls && (await TlsSource.open(options.tls, modules));
  const security = { socket: { mode: 0o600 }, tls };
  const grpc = new GrpcServer(handlers, security, modules);
  const edge = new HttpEdge(handlers, security, { ...modules, metrics, notReady: () => undefined });
  const addresses = {
    grpc: await grpc.listen("127.0.0.1:0"),
    edge: await edge.listen("127.0.0.1:0"),
  };
  const close = async () => {
    tls?.close();
    await Promise.all([grpc.close(100), edge.close(100)]);
  };
  return { memory, metrics, addresses, grpc, edge, close };
}
