/**
 * The standard health service, grpc.health.v1: whether the server, and each of its services, takes
 * calls. All have the same status.
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
import { quoted, Refusal } from "../errors.js";
import type { CallContext } from "./call/call-context.js";

export class Health {
  private isServing = false;
  private readonly names: ReadonlySet<string>;
  /** Called when the status changes, one for each `watch` that waits. */
  private readonly watchers = new Set<() => void>();

  /** @param services full names of the services; the empty name stands for the whole server */
  constructor(services: readonly string[]) {
    this.names = new Set(["", ...services]);
  }

  /** Sets the status of the server and of all its services. Default: NOT_SERVING. */
  setServing(isServing: boolean): void {
    if (isServing === this.isServing) return;
    this.isServing = isServing;
    for (const wake of this.watchers) wake();
  }

  /** The status of one service. Throws a `Refusal` for a service that is not served here. */
  check({ service }: HealthCheckRequest): HealthCheckResponse {
    if (this.names.has(service)) return create(HealthCheckResponseSchema, this.statusOf(service));
    throw new Refusal("not_found", "service", `${quoted(service)} is not served here`);
  }

  list() {
    return { statuses: Object.fromEntries([...this.names].map((n) => [n, this.statusOf(n)])) };
  }

  /** Sends the status and each change of it. Ends when the server drains, after a last change. */
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

  /** Resolves when the status changes or the signal aborts. */
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
