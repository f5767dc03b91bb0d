/**
 * The pages /metrics, /livez and /readyz. The nodes' listener serves them beside its calls. So does
 * a listener for probes, in plain HTTP: its clients have neither certificate nor token.
 */
import type { Metrics } from "../metrics.js";
import { Refusal } from "../errors.js";
import { limits } from "../limits.js";
import type { HttpRequest, HttpResponse } from "../net/http-listener.js";
import { HttpListener } from "../net/http-listener.js";
import type { ListenerModules, ListenerSecurity } from "../net/listener.js";
import { connectErrorOf } from "./status.js";

const PATHS = ["/metrics", "/livez", "/readyz"];

export interface PagesModules {
  metrics: Metrics;
  /** Why the service is not ready; undefined when it is. */
  notReady(): string | undefined;
}

export class Pages {
  /** The text of /metrics while it is being gathered; undefined otherwise. */
  private gathering: Promise<Uint8Array> | undefined;

  constructor(private readonly modules: PagesModules) {}

  has(path: string): boolean {
    return PATHS.includes(path);
  }

  /** Answers the request for a page. The path must be one that it `has`. */
  answer(path: string, { method = "" }: HttpRequest, response: HttpResponse): void {
    if (!["GET", "HEAD"].includes(method)) refuseMethod(response, "GET, HEAD");
    else if (path === "/metrics") void this.answerMetrics(response);
    else {
      const reason = path === "/readyz" ? this.modules.notReady() : undefined;
      answerText(response, reason === undefined ? 200 : 503, `${reason ?? "ok"}\n`);
    }
  }

  /** Never rejects: the registry has only our own metrics, and reading them does not fail. */
  private async answerMetrics(response: HttpResponse): Promise<void> {
    const { contentType } = this.modules.metrics.registry;
    answerText(response, 200, await this.gather(), { "content-type": contentType });
  }

  /** Gathers once for all requests of a turn of the event loop: it takes about 1 ms and 50 KB. */
  private gather(): Promise<Uint8Array> {
    return (this.gathering ??= new Promise((resolve) => setImmediate(resolve)).then(async () => {
      this.gathering = undefined;
      return Buffer.from(await this.modules.metrics.registry.metrics());
    }));
  }
}

export interface ProbeServerModules extends ListenerModules {
  pages: Pages;
}

/** The listener for probes. Every caller that reaches it may read every page. */
export class ProbeServer {
  private readonly listener: HttpListener;

  constructor(
    security: Omit<ListenerSecurity, "tls">,
    private readonly modules: ProbeServerModules,
  ) {
    this.listener = new HttpListener(
      (request, response) => this.handle(request, response),
      { name: "probes", connectionsMax: limits.probeConnectionsMax, ...security, tls: undefined },
      modules,
    );
  }

  /** Binds `host:port` or `unix:/path`; returns the address, with the chosen port for port 0. */
  listen(address: string): Promise<string> {
    return this.listener.listen(address);
  }

  close(boundMs: number): Promise<void> {
    return this.listener.close(boundMs);
  }

  private handle(request: HttpRequest, response: HttpResponse): void {
    const [path = ""] = (request.url ?? "").split("?", 1);
    const { pages } = this.modules;
    if (pages.has(path)) pages.answer(path, request, response);
    else if (path === "/") answerText(response, 200, `lean-aggregator: ${PATHS.join(", ")}\n`);
    else answerText(response, 404, `not found: try ${PATHS.join(", ")}\n`);
  }
}

export function answerText(
  response: HttpResponse,
  status: number,
  body: string | Uint8Array,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "content-type": "text/plain", ...headers });
  response.end(body);
}

export function refuseMethod(response: HttpResponse, allow: string): void {
  answerText(response, 405, `method not allowed: use ${allow}\n`, { allow });
}

/** Answers the request for a page with the refusal of `Access`. Rethrows any other error. */
export function answerDenied(response: HttpResponse, error: unknown): void {
  if (!(error instanceof Refusal)) throw error;
  const isUnknown = error.kind === "unauthenticated";
  const headers: Record<string, string> = isUnknown ? { "www-authenticate": "Bearer" } : {};
  const status = isUnknown ? 401 : error.kind === "resource_exhausted" ? 429 : 403;
  answerText(response, status, `${error.message}\n`, headers);
}

/** Answers a call of a method that is not served here, in the caller's own protocol. */
export function answerUnimplemented(
  path: string,
  request: HttpRequest,
  response: HttpResponse,
): void {
  const type = request.headers["content-type"] ?? "";
  const error = connectErrorOf(new Refusal("unimplemented", "", `${path} is not served here`));
  const status = { "grpc-status": String(error.code), "grpc-message": encodeURI(error.rawMessage) };
  if (type.startsWith("application/grpc-web")) {
    response.writeHead(200, { "content-type": type, ...status });
    response.end();
  } else if (type.startsWith("application/grpc")) {
    response.writeHead(200, { "content-type": type });
    response.addTrailers(status);
    response.end();
  } else {
    response.writeHead(404, { "content-type": "application/json" });
    response.end(JSON.stringify({ code: "unimplemented", message: error.rawMessage }));
  }
}
