/**
 * The HTTP edge on its own port: the same handlers as Connect, gRPC-Web and gRPC through connect,
 * and /metrics, /livez, /readyz.
 */
import type { DescMethod } from "@bufbuild/protobuf";
import { createConnectRouter } from "@connectrpc/connect";
import type { ConnectError, ConnectRouter, HandlerContext } from "@connectrpc/connect";
import { AggregatorService } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Access } from "../access/access.js";
import type { Credential } from "../access/policy.js";
import { METRICS_CALL } from "../access/policy-file.js";
import { limits } from "../limits.js";
import type { Logger } from "../log.js";
import type { MemoryBudget } from "../memory-budget.js";
import type { Metrics } from "../metrics.js";
import { ConnectAdapter, edgeCredential, receiptKey } from "./call-admission.js";
import type { EdgeRequest, EdgeResponse } from "./call-admission.js";
import type { CallContext, Calls } from "./handlers.js";
import { answerDenied, answerText, answerUnimplemented, refuseMethod } from "./http-answers.js";
import { HttpListener } from "../net/http-listener.js";
import type { ListenerSecurity, ListenerModules } from "../net/listener.js";
import type { Peer } from "../net/peer.js";
import { methodPath, requestBytesMax } from "./request-limits.js";
import { connectErrorOf, statusOf } from "./status.js";

export interface HttpEdgeModules extends ListenerModules {
  log: Logger;
  memory: MemoryBudget;
  access: Access;
  metrics: Metrics;
  /** Why the service is not ready; undefined when it is. */
  notReady(): string | undefined;
}

export class HttpEdge {
  private readonly listener: HttpListener;
  private readonly connect: ConnectAdapter;
  private readonly draining = new AbortController();
  /** The metrics that are about to be gathered. */
  private page: Promise<Uint8Array> | undefined;

  constructor(
    private readonly handlers: Calls,
    security: ListenerSecurity,
    private readonly modules: HttpEdgeModules,
  ) {
    // Proofs do not compress.
    const router = createConnectRouter({ acceptCompression: [] });
    this.addRoutes(router);
    this.connect = new ConnectAdapter(router, modules);
    this.listener = new HttpListener(
      (...call) => this.handle(...call),
      { ...security, name: "http", connectionsMax: limits.connectionsMax },
      modules,
    );
  }

  /** Binds an address (`host:port` or `unix:/path`); returns the address with its real port. */
  listen(address: string): Promise<string> {
    return this.listener.listen(address);
  }

  /** Lets streams deliver what is logged and calls finish within the bound, then cuts the rest. */
  async close(boundMs: number): Promise<void> {
    this.draining.abort();
    await this.listener.close(boundMs);
  }

  private handle(request: EdgeRequest, response: EdgeResponse, peer: Peer): void {
    const [path = ""] = (request.url ?? "").split("?", 1);
    const { method = "" } = request;
    if (["/livez", "/readyz", "/metrics"].includes(path)) {
      if (!["GET", "HEAD"].includes(method)) refuseMethod(response, "GET, HEAD");
      else void this.answerPage(path, response, edgeCredential(peer, request.headers));
    } else if (method === "POST") {
      if (this.connect.serves(path)) this.connect.handle(path, request, response, peer);
      else answerUnimplemented(path, request, response);
    } else if (this.connect.serves(path)) refuseMethod(response, "POST");
    else answerText(response, 404, "not found: try /livez, /readyz, /metrics or Connect calls\n");
  }

  /** Never rejects: the registry's metrics are all ours, and none of them fails to be read. */
  private async answerPage(path: string, response: EdgeResponse, credential: Credential) {
    const { access, metrics, notReady } = this.modules;
    if (path === "/livez") answerText(response, 200, "ok\n");
    else if (path === "/readyz") {
      const reason = notReady();
      answerText(response, reason === undefined ? 200 : 503, `${reason ?? "ok"}\n`);
    } else {
      try {
        access.begin(credential, { call: METRICS_CALL });
      } catch (error) {
        return answerDenied(response, error);
      }
      const { contentType } = metrics.registry;
      answerText(response, 200, await this.metricsPage(), { "content-type": contentType });
    }
  }

  /** Made once for all that ask in the same turn of the loop: it takes some of 1 ms, and 50 KB. */
  private metricsPage(): Promise<Uint8Array> {
    return (this.page ??= new Promise((resolve) => setImmediate(resolve)).then(async () => {
      this.page = undefined;
      return Buffer.from(await this.modules.metrics.registry.metrics());
    }));
  }

  private addRoutes(router: ConnectRouter): void {
    const { handlers } = this;
    const { method } = AggregatorService;
    const limited = (of: DescMethod) => ({ readMaxBytes: requestBytesMax(methodPath(of)) });
    router
      .rpc(
        method.submitSnapshot,
        (request, context) =>
          this.call(() => handlers.submitSnapshot(request, this.context(context))),
        limited(method.submitSnapshot),
      )
      .rpc(
        method.getSession,
        (request, context) => this.call(() => handlers.getSession(request, this.context(context))),
        limited(method.getSession),
      )
      .rpc(
        method.cancelSession,
        (request, context) =>
          this.call(() => handlers.cancelSession(request, this.context(context))),
        limited(method.cancelSession),
      )
      .rpc(
        method.verifyAggregate,
        (request, context) =>
          this.call(() => handlers.verifyAggregate(request, this.context(context))),
        limited(method.verifyAggregate),
      )
      .rpc(
        method.getServerInfo,
        () => this.call(() => handlers.getServerInfo()),
        limited(method.getServerInfo),
      )
      .rpc(
        method.streamResults,
        (request, context) =>
          this.stream(handlers.streamResults(request, this.context(context)), context.signal),
        limited(method.streamResults),
      );
  }

  private context({ values, signal }: HandlerContext): CallContext {
    const receipt = values.get(receiptKey);
    if (receipt === undefined) throw new Error("a call came past the adapter");
    return { ...receipt, signal, draining: this.draining.signal };
  }

  private async call<T>(run: () => T | Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      throw this.refusal(error);
    }
  }

  private async *stream<T>(events: AsyncGenerator<T>, signal: AbortSignal): AsyncGenerator<T> {
    try {
      yield* events;
    } catch (error) {
      throw this.refusal(error);
    }
    // A stream that the call's own deadline ended says so, as on the data plane.
    signal.throwIfAborted();
  }

  private refusal(error: unknown): ConnectError {
    if (!statusOf(error).isExpected) this.modules.log.error({ err: error }, "call failed");
    return connectErrorOf(error);
  }
}
