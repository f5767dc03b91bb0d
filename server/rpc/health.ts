/**
 * The standard health service, grpc.health.v1: whether the server and each of its services take
 * calls. `Watch` sends the status and then each change of it.
 */
import { createLinkedAbortController } from "@connectrpc/connect/protocol";
import type {
  HealthCheckRequest,
  HealthCheckResponse,
} from "../../proto/gen/grpc/health/v1/health_pb.js";
import {
  HealthCheckResponse_ServingStatus as Status,
  HealthCheckResponseSchema,
} from "../../proto/gen/grpc/health/v1/health_pb.js";
import { create } from "@bufbuild/protobuf";
import { Refusal } from "../errors.js";
import type { CallContext } from "./call-context.js";

export class Health {
  private isServing = false;
  private readonly names: ReadonlySet<string>;
  private readonly watchers = new Set<() => void>();

  /** @param services full names; the server itself has the empty name */
  constructor(services: readonly string[]) {
    this.names = new Set(["", ...services]);
  }

  /** Sets the status of the server and of all its services. Default: NOT_SERVING. */
  setServing(isServing: boolean): void {
    if (isServing === this.isServing) return;
    this.isServing = isServing;
    for (const wake of this.watchers) wake();
  }

  /** Throws a `Refusal` for a service that is not here. */
  check({ service }: HealthCheckRequest): HealthCheckResponse {
    if (this.names.has(service)) return create(HealthCheckResponseSchema, this.statusOf(service));
    throw new Refusal("not_found", "service", `${JSON.stringify(service)} is not served here`);
  }

  list() {
    return { statuses: Object.fromEntries([...this.names].map((n) => [n, this.statusOf(n)])) };
  }

  /** Ends when the server drains, after the status that it drains with. */
  async *watch(
    { service }: HealthCheckRequest,
    { signal, draining }: Pick<CallContext, "signal" | "draining">,
  ): AsyncGenerator<HealthCheckResponse> {
    const ending = createLinkedAbortController(signal, draining);
    let sent: Status | undefined;
    try {
      for (;;) {
        const { status } = this.statusOf(service);
        if (status !== sent) {
          sent = status;
          yield create(HealthCheckResponseSchema, { status });
        } else if (ending.signal.aborted) return;
        else await this.changed(ending.signal);
      }
    } finally {
      ending.abort();
    }
  }

  private statusOf(service: string): { status: Status } {
    if (!this.names.has(service)) return { status: Status.SERVICE_UNKNOWN };
    return { status: this.isServing ? Status.SERVING : Status.NOT_SERVING };
  }

  /** Resolves with the next change, or once the signal aborts. */
  private changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.watchers.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.watchers.add(wake);
      signal.addEventListener("abort", wake);
    });
  }
}
