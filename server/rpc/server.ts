/**
 * One listener's RPC server: its services over gRPC, gRPC-Web, Connect and JSON, with health and
 * reflection, and plain pages where it has some. The nodes' listener and the operator's are two of
 * these, with other routes, limits and access.
 */
import type { DescFile } from "@bufbuild/protobuf";
import { METRICS_CALL } from "../access/policy-file.js";
import type { HttpRequest, HttpResponse } from "../net/http-listener.js";
import { HttpListener } from "../net/http-listener.js";
import type { ListenerModules, ListenerOptions } from "../net/listener.js";
import type { Peer } from "../net/peer.js";
import { CallAdmission } from "./call-admission.js";
import type { CallAdmissionModules } from "./call-admission.js";
import { Health } from "./health.js";
import type { Pages } from "./pages.js";
import { answerDenied, answerText, answerUnimplemented, refuseMethod } from "./pages.js";
import { credentialOf } from "./permission.js";
import { Routes } from "./routes.js";

export interface RpcServerOptions extends Omit<ListenerOptions, "protocols"> {
  /** Whose services are served: health names them, reflection describes them. */
  files: readonly DescFile[];
  addRoutes(routes: Routes): void;
}

export interface RpcServerModules extends ListenerModules, CallAdmissionModules {
  /** Served beside the calls, to callers whom the policy knows. Default: no pages. */
  pages?: Pages;
}

export class RpcServer {
  private readonly listener: HttpListener;
  private readonly admission: CallAdmission;
  private readonly health: Health;
  private readonly draining = new AbortController();

  constructor(
    { files, addRoutes, ...listenerOptions }: RpcServerOptions,
    private readonly modules: RpcServerModules,
  ) {
    this.health = new Health(files.flatMap(({ services }) => services.map((it) => it.typeName)));
    const routes = new Routes(modules.log).health(this.health).reflection(files);
    addRoutes(routes);
    this.admission = new CallAdmission(routes.handlers, this.draining.signal, modules);
    this.listener = new HttpListener((...call) => this.handle(...call), listenerOptions, modules);
  }

  /** Binds an address (`host:port` or `unix:/path`); returns the address with its real port. */
  listen(address: string): Promise<string> {
    return this.listener.listen(address);
  }

  /** What the health service says of all services. Default: NOT_SERVING. */
  setServing(isServing: boolean): void {
    this.health.setServing(isServing);
  }

  /** Lets streams deliver what is logged and calls finish within the bound, then cuts the rest. */
  async close(boundMs: number): Promise<void> {
    this.draining.abort();
    await this.listener.close(boundMs);
  }

  private handle(request: HttpRequest, response: HttpResponse, peer: Peer): void {
    const [path = ""] = (request.url ?? "").split("?", 1);
    const { pages } = this.modules;
    if (pages?.has(path) === true) this.answerPage(pages, path, request, response, peer);
    else if (request.method === "POST") {
      if (this.admission.serves(path)) this.admission.handle(path, request, response, peer);
      else answerUnimplemented(path, request, response);
    } else if (this.admission.serves(path)) refuseMethod(response, "POST");
    else answerText(response, 404, "not found: there are only calls, by POST\n");
  }

  private answerPage(
    pages: Pages,
    path: string,
    request: HttpRequest,
    response: HttpResponse,
    peer: Peer,
  ): void {
    const credential = credentialOf(peer, request.headers.authorization);
    try {
      this.modules.access.begin(credential, path === "/metrics" ? { call: METRICS_CALL } : {});
    } catch (error) {
      return answerDenied(response, error);
    }
    pages.answer(path, request, response);
  }
}
