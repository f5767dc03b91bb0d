/** Starts the RPC server for nodes with the handlers, memory budget and clock of a test. */
import { create } from "@bufbuild/protobuf";
import {
  CancelSessionResponseSchema,
  file_lean_aggregator_v1_aggregator,
  GetServerInfoResponseSchema,
  GetSessionResponseSchema,
  SubmitSnapshotResponseSchema,
  VerifyAggregateResponseSchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Policy } from "../../../server/access/policy.js";
import { Access } from "../../../server/access/access.js";
import type { Clock } from "../../../server/clock.js";
import { systemClock } from "../../../server/clock.js";
import { limits } from "../../../server/limits.js";
import { createLog } from "../../../server/log/log.js";
import type { Logger } from "../../../server/log/log.js";
import { MemoryBudget } from "../../../server/memory-budget.js";
import { createMetrics } from "../../../server/metrics/metrics.js";
import type { Metrics } from "../../../server/metrics/metrics.js";
import type { NoMemoryCause } from "../../../server/reasons.js";
import type { Calls } from "../../../server/rpc/handlers.js";
import { addAggregatorRoutes } from "../../../server/rpc/handlers.js";
import { Pages } from "../../../server/rpc/pages/pages.js";
import { RpcServer } from "../../../server/rpc/server.js";
import type { TlsSettings } from "../../../server/net/tls-files.js";
import { TlsSource } from "../../../server/net/tls-source.js";
import { createTransportMetrics } from "../../../server/net/metrics.js";

/** Handlers that answer every call with an empty response. */
const emptyCalls: Calls = {
  submitSnapshot: () => create(SubmitSnapshotResponseSchema),
  getSession: () => Promise.resolve(create(GetSessionResponseSchema)),
  cancelSession: () => create(CancelSessionResponseSchema),
  verifyAggregate: () => Promise.resolve(create(VerifyAggregateResponseSchema)),
  getServerInfo: () => create(GetServerInfoResponseSchema),
  streamResults: async function* () {},
};

/** A memory budget that a test can watch. */
export class WatchedBudget extends MemoryBudget {
  private readonly waiting: Set<() => void>;

  constructor(bytesMax: number, callRefused?: (cause: NoMemoryCause) => void) {
    const waiting = new Set<() => void>();
    super(bytesMax, () => waiting.forEach((look) => look()), callRefused);
    this.waiting = waiting;
  }

  /** Resolves once exactly so many bytes are held. */
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

/** A clock whose timers fire only in `fireAll` and `skip`. Otherwise it follows the system's. */
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

  /** Number of timers that are set and have neither fired nor been cancelled. */
  get pending(): number {
    return this.timers.size;
  }

  fireAll(): void {
    this.fire(() => true);
  }

  /** Moves the clock forward by `ms` milliseconds, and fires the timers that are due by then. */
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

export interface BareServer {
  memory: WatchedBudget;
  metrics: Metrics;
  /** Host and port. */
  address: string;
  server: RpcServer;
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

export async function startBareServer(options: BareOptions = {}): Promise<BareServer> {
  const { calls = {}, bytesMax = 256 * 1024 * 1024, clock = systemClock } = options;
  const handlers = { ...emptyCalls, ...calls };
  const log = options.log ?? createLog("silent");
  const metrics = createMetrics();
  const memory = new WatchedBudget(bytesMax, (cause) => metrics.unreadRefusals.inc({ cause }));
  const access = new Access(options.policy, { clock, log, metrics });
  const transport = createTransportMetrics(metrics.registry);
  const modules = { clock, memory, transport, log, access, metrics };
  const tls = options.tls && (await TlsSource.open(options.tls, modules));
  const server = new RpcServer(
    {
      name: "nodes",
      connectionsMax: limits.connectionsMax,
      socket: { mode: 0o600 },
      tls,
      files: [file_lean_aggregator_v1_aggregator],
      addRoutes: (routes) => addAggregatorRoutes(routes, handlers),
    },
    { ...modules, pages: new Pages({ clock, metrics, notReady: () => undefined }) },
  );
  const address = await server.listen("127.0.0.1:0");
  const close = async () => {
    tls?.close();
    await server.close(100);
  };
  return { memory, metrics, address, server, close };
}
