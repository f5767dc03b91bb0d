/** Asks a service all the time whether it lives, as an orchestrator's probes do. */
import { Client, credentials, status } from "@grpc/grpc-js";
import { Health } from "../../proto/gen/grpc/health/v1/health_pb.js";
import { create } from "@bufbuild/protobuf";
import { HealthCheckRequestSchema } from "../../proto/gen/grpc/health/v1/health_pb.js";
import { grpcMethodDefinition } from "../../tools/harness/wire/grpc-js.js";

const PROBE_EVERY_MS = 50;
/** What an orchestrator waits for a probe by default, and how often in a row until it acts. */
const PROBE_TIMEOUT_MS = 1000;
const TIMEOUTS_IN_A_ROW = 3;

/**
 * Probes until stopped; `failures` names each that went wrong. One without an answer in time is no
 * failure yet, for a busy machine has it now and then.
 */
export class HealthWatch {
  readonly failures: string[] = [];
  probes = 0;
  private readonly client: Client;
  private readonly timer: NodeJS.Timeout;
  private readonly running = new Set<Promise<void>>();
  private readonly timeouts = new Map<string, number>();
  private isStopped = false;

  constructor(address: string, probesAddress: string) {
    this.client = new Client(address, credentials.createInsecure());
    this.timer = setInterval(() => {
      if (this.running.size > 0) return; // one at a time: a slow one is a failure by its timeout
      const probe = Promise.all([
        this.probe("livez", this.livez(probesAddress)),
        this.probe("health", this.health()),
      ]).then(() => void this.running.delete(probe));
      this.running.add(probe);
    }, PROBE_EVERY_MS);
  }

  /** Call before the service is to end; resolves once the last probe is answered. */
  async stop(): Promise<void> {
    this.isStopped = true;
    clearInterval(this.timer);
    await Promise.all(this.running);
    this.client.close();
  }

  private async probe(name: string, answer: Promise<unknown>): Promise<void> {
    try {
      await answer;
      this.probes++;
      this.timeouts.delete(name);
    } catch (error) {
      if (this.isStopped) return;
      const timeouts = isTimeout(error) ? (this.timeouts.get(name) ?? 0) + 1 : TIMEOUTS_IN_A_ROW;
      this.timeouts.set(name, timeouts);
      if (timeouts >= TIMEOUTS_IN_A_ROW) this.failures.push(`${name}: ${String(error)}`);
    }
  }

  private async livez(address: string): Promise<void> {
    const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS);
    const response = await fetch(`http://${address}/livez`, { signal });
    await response.text();
    if (response.status !== 200) throw new Error(`status ${String(response.status)}`);
  }

  /** Answered, whatever it says: readiness comes and goes with the provers. */
  private health(): Promise<void> {
    const check = grpcMethodDefinition(Health.method.check);
    const deadline = Date.now() + PROBE_TIMEOUT_MS;
    return new Promise((resolve, reject) => {
      this.client.makeUnaryRequest(
        check.path,
        check.requestSerialize,
        check.responseDeserialize,
        create(HealthCheckRequestSchema),
        { deadline },
        (error) => (error === null ? resolve() : reject(error)),
      );
    });
  }
}

function isTimeout(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return (
    error.name === "TimeoutError" || ("code" in error && error.code === status.DEADLINE_EXCEEDED)
  );
}
