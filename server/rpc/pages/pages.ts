/**
 * The pages /metrics, /livez and /readyz. The nodes' listener serves them beside its calls. So does
 * a listener for probes, in plain HTTP: its clients have neither certificate nor token.
 */
import type { Clock } from "../../clock.js";
import type { Metrics } from "../../metrics/metrics.js";
import { cut, Refusal } from "../../errors.js";
import { limits } from "../../limits.js";
import type { HttpRequest, HttpResponse } from "../../net/http-listener.js";
import { HttpListener } from "../../net/http-listener.js";
import type { ListenerModules, ListenerSecurity } from "../../net/listener.js";
import { Scraper } from "./scrape.js";
import { connectErrorOf } from "../status.js";

const PATHS = ["/metrics", "/livez", "/readyz"];

export interface PagesModules {
  clock: Clock;
  metrics: Metrics;
  /** Why the service is not ready; undefined when it is. */
  notReady(): string | undefined;
}

export class Pages {
  private readonly scraper: Scraper;

  constructor(private readonly modules: PagesModules) {
    this.scraper = new Scraper(modules.metrics.registry);
  }

  has(path: string): boolean {
    return PATHS.includes(path);
  }

  /** Answers the request for a page. The path must be one that it `has`. */
  answer(path: string, { method = "", headers }: HttpRequest, response: HttpResponse): void {
    cutWhenSlow(response, this.modules.clock);
    if (!["GET", "HEAD"].includes(method)) refuseMethod(response, "GET, HEAD");
    else if (path === "/metrics") {
      void this.scraper
        .scrape(headers)
        .then((scrape) => answerText(response, 200, scrape.body, scrape.headers));
    } else {
      const reason = path === "/readyz" ? this.modules.notReady() : undefined;
      answerText(response, reason === undefined ? 200 : 503, `${reason ?? "ok"}\n`);
    }
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
      ({ request, response }) => this.handle(request, response),
      {
        name: "probes",
        connectionsMax: limits.probeConnectionsMax,
        displacesBusy: true,
        ...security,
        tls: undefined,
      },
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

/** A caller that does not read its answer would keep its connection busy, and its memory. */
export function cutWhenSlow(response: HttpResponse, clock: Clock): void {
  const cancel = clock.at(clock.nowMs() + limits.pageTakeMsMax, () => response.destroy());
  response.once("close", cancel);
}

export function answerText(
  response: HttpResponse,
  status: number,
  body: string | Uint8Array,
  headers: Record<string, string> = {},
): void {
  const length = String(Buffer.byteLength(body));
  response.writeHead(status, {
    "content-type": "text/plain",
    "content-length": length,
    ...headers,
  });
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
  const error = connectErrorOf(new Refusal("unimplemented", "", `${cut(path)} is not served here`));
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
