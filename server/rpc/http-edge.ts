/**
 * The HTTP edge on its own port: the same handlers as Connect/JSON and gRPC-Web through
 * connect-node, and /metrics, /livez, /readyz.
 */
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { ConnectError } from "@connectrpc/connect";
import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { AggregatorService } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Clock } from "../clock.js";
import { limits } from "../limits.js";
import type { Logger } from "../log.js";
import type { Metrics } from "../metrics.js";
import type { CallContext, Handlers } from "./handlers.js";
import { statusOf } from "./status.js";

export interface HttpEdgeModules {
  clock: Clock;
  log: Logger;
  metrics: Metrics;
  /** Why the service is not ready; undefined when it is. */
  notReady(): string | undefined;
}

export class HttpEdge {
  private readonly server: Server;
  private readonly draining = new AbortController();

  constructor(
    private readonly handlers: Handlers,
    private readonly modules: HttpEdgeModules,
  ) {
    const rpc = connectNodeAdapter({
      routes: (router) => this.addRoutes(router),
      // Proofs do not compress.
      acceptCompression: [],
      readMaxBytes: limits.snapshotBytesMax,
      maxTimeoutMs: limits.waitMsMax,
      shutdownSignal: this.draining.signal,
    });
    this.server = createServer((request, response) => {
      if (request.url?.startsWith(`/${AggregatorService.typeName}/`)) rpc(request, response);
      else void this.plain(request, response);
    });
  }

  /** Listens on `host:port`; returns the address with its real port. */
  async listen(address: string): Promise<string> {
    const at = address.lastIndexOf(":");
    const host = address.slice(0, at);
    await new Promise<void>((resolve, reject) => {
      this.server.once("error", reject);
      this.server.listen(Number(address.slice(at + 1)), host, resolve);
    });
    return `${host}:${(this.server.address() as AddressInfo).port}`;
  }

  /** Ends streams and connections. Idempotent. */
  async close(): Promise<void> {
    this.draining.abort();
    if (!this.server.listening) return;
    await new Promise<void>((resolve) => {
      this.server.close(() => resolve());
      this.server.closeIdleConnections();
      const cut = this.modules.clock.at(this.modules.clock.nowMs() + 200, () =>
        this.server.closeAllConnections(),
      );
      this.server.once("close", cut);
    });
  }

  private addRoutes(router: ConnectRouter): void {
    const { handlers } = this;
    router.service(AggregatorService, {
      submitSnapshot: (request, context) =>
        this.call(() => handlers.submitSnapshot(request, this.context(context))),
      getSession: (request, context) =>
        this.call(() => handlers.getSession(request, this.context(context))),
      cancelSession: (request) => this.call(() => handlers.cancelSession(request)),
      verifyAggregate: (request) => this.call(() => handlers.verifyAggregate(request)),
      getServerInfo: () => this.call(() => handlers.getServerInfo()),
      streamResults: (request, context) =>
        this.stream(handlers.streamResults(request, this.context(context))),
    });
  }

  private context(context: HandlerContext): CallContext {
    // connect-node hands a request over once it is read; its timeout counts from the headers.
    return {
      receivedAtMs: this.modules.clock.nowMs(),
      callDeadlineMs: context.timeoutMs(),
      signal: context.signal,
    };
  }

  private async call<T>(run: () => T | Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      throw this.refusal(error);
    }
  }

  private async *stream<T>(events: AsyncGenerator<T>): AsyncGenerator<T> {
    try {
      yield* events;
    } catch (error) {
      throw this.refusal(error);
    }
  }

  private refusal(error: unknown): ConnectError {
    const { code, message, isExpected } = statusOf(error);
    if (!isExpected) this.modules.log.error({ err: error }, "call failed");
    return new ConnectError(message, code);
  }

  private async plain(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { metrics, notReady } = this.modules;
    const send = (status: number, body: string, type = "text/plain") =>
      response.writeHead(status, { "content-type": type }).end(body);
    switch (request.url) {
      case "/livez":
        send(200, "ok\n");
        break;
      case "/readyz": {
        const reason = notReady();
        send(reason === undefined ? 200 : 503, `${reason ?? "ok"}\n`);
        break;
      }
      case "/metrics":
        send(200, await metrics.registry.metrics(), metrics.registry.contentType);
        break;
      default:
        send(404, "not found: try /livez, /readyz, /metrics or Connect calls\n");
    }
  }
}
