/**
 * The composition root: builds the service from its configuration, starts it in order, and closes
 * it in order. Whoever starts it (the command line, tests, the demo) hands in clock and log.
 */
import type { Clock } from "./clock.js";
import type { Config } from "./config.js";
import { limits } from "./limits.js";
import type { Logger } from "./log.js";
import { MemoryBudget } from "./memory-budget.js";
import { createMetrics } from "./metrics.js";
import type { Metrics } from "./metrics.js";
import type { StartProver } from "./prover/prover.js";
import { GrpcServer } from "./rpc/grpc-server.js";
import { Handlers } from "./rpc/handlers.js";
import { HttpEdge } from "./rpc/http-edge.js";
import { Dispatcher } from "./schedule/dispatcher.js";
import { Aggregator } from "./session/aggregator.js";

/** How often proofs past their fence are erased and logs trimmed. */
const EXPIRE_EVERY_MS = 250;
/** What closing the transports may take once results are delivered. */
const TRANSPORT_CLOSE_MS = 500;

export interface Service {
  /** Real addresses, ports resolved. */
  grpcAddresses: string[];
  httpAddress: string;
  metrics: Metrics;
  /** Process ids of the provers that are up. */
  proverPids(): number[];
  /** Resident memory of all provers, as they last reported it. */
  proverResidentBytes(): number;
  /** Ready, deliver, end: bounded by the configured drain. Idempotent. */
  close(): Promise<void>;
  /** SIGKILLs the provers at once. */
  kill(): void;
}

export interface ServiceModules {
  clock: Clock;
  log: Logger;
  startProver: StartProver;
  /** 16 hexadecimal digits, fresh for each run. */
  instance: string;
  version: string;
}

export async function startService(config: Config, modules: ServiceModules): Promise<Service> {
  const { clock, log, startProver, instance, version } = modules;
  const metrics = createMetrics();
  const deviceIds = config.devices;
  const dispatcher = new Dispatcher({ deviceIds }, { startProver, clock, log, metrics });
  const aggregator = new Aggregator({ instance }, { clock, log, metrics, dispatcher });
  const { deadlineMs, fenceMs } = config;
  const handlers = new Handlers(
    { instance, version, deadlineMs, fenceMs },
    { aggregator, dispatcher, clock },
  );
  const notReady = () =>
    aggregator.draining ? "draining" : dispatcher.isUp ? undefined : "no device is up";
  const memory = new MemoryBudget(limits.heldBytesMax, (bytes) => metrics.heldBytes.set(bytes));
  const grpc = new GrpcServer(handlers, { clock, log, memory });
  const http = new HttpEdge(handlers, { clock, log, memory, metrics, notReady });

  const grpcAddresses = [];
  for (const address of config.listen) grpcAddresses.push(await grpc.listen(address));
  const httpAddress = await http.listen(config.http);
  log.info({ grpc: grpcAddresses, http: httpAddress }, "listening; setting provers up");
  const expire = setInterval(() => {
    aggregator.expire();
    grpc.setServing(notReady() === undefined);
  }, EXPIRE_EVERY_MS);
  await dispatcher.start(() => aggregator.nextJob());
  grpc.setServing(notReady() === undefined);

  let closing: Promise<void> | undefined;
  const close = async () => {
    log.info({}, "draining");
    grpc.setServing(false);
    await aggregator.drain(config.drainMs);
    clearInterval(expire);
    await Promise.all([
      grpc.close(TRANSPORT_CLOSE_MS),
      http.close(TRANSPORT_CLOSE_MS),
      dispatcher.close(),
    ]);
    log.info({}, "closed");
  };
  return {
    grpcAddresses,
    httpAddress,
    metrics,
    proverPids: () => dispatcher.devices().flatMap(({ pid }) => pid ?? []),
    proverResidentBytes: () =>
      dispatcher.devices().reduce((sum, { residentBytes }) => sum + residentBytes, 0),
    close: () => (closing ??= close()),
    kill: () => void dispatcher.close(),
  };
}
