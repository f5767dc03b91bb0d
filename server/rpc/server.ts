/**
 * The RPC server of one listener: its services over gRPC, gRPC-Web, Connect and JSON, with health
 * and reflection, and pages such as /metrics if it has any. The nodes' listener and the operator's
 * have one each, with different routes, limits and access.
 */
import { setMaxListeners } from "node:events";
import type { DescFile } from "@bufbuild/protobuf";
import { METRICS_CALL } from "../access/policy-file.js";
import type { HttpRequest, HttpResponse, ReceivedCall } from "../net/http-listener.js";
import { HttpListener } from "../net/http-listener.js";
import type { ListenerModules, ListenerOptions } from "../net/listener.js";
import type { Peer } from "../net/peer.js";
import { CallAdmission } from "./call/call-admission.js";
import type { CallAdmissionModules } from "./call/call-admission.js";
import { countCall } from "./call/call-metrics.js";
import { Health } from "./health.js";
import type { LivePage } from "./pages/live-page.js";
import type { Pages } from "./pages/pages.js";
import { answerDenied, answerText, answerUnimplemented, refuseMethod } from "./pages/pages.js";
import { credentialOf } from "./call/permission.js";
import { Routes } from "./routes.js";

export interface RpcServerOptions extends Omit<ListenerOptions, "protocols"> {
  /** Proto files whose services are served, for health and reflection. */
  files: readonly DescFile[];
  addRoutes(routes: Routes): void;
}

export interface RpcServerModules extends ListenerModules, CallAdmissionModules {
  /** Pages served beside the calls, to callers that the policy knows. Default: no pages. */
  pages?: Pages;
  /** The live page, served to everyone who reaches the listener. Default: none. */
  livePage?: LivePage;
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
    const routes = new Routes(modules).health(this.health).reflection(files);
    addRoutes(routes);
    setMaxListeners(0, this.draining.signal); // one of each open stream, whose number has a limit of its own
    this.admission = new CallAdmission(routes.handlers, this.draining.signal, modules);
    this.listener = new HttpListener((call) => this.handle(call), listenerOptions, modules);
  }

  /** Binds `host:port` or `unix:/path`; returns the address, with the chosen port for port 0. */
  listen(address: string): Promise<string> {
    return this.listener.listen(address);
  }

  /** Sets the health status of all services: SERVING or NOT_SERVING. Default: NOT_SERVING. */
  setServing(isServing: boolean): void {
    this.health.setServing(isServing);
  }

  /** Lets calls finish and streams deliver what there is, for `boundMs`, then cuts the rest. */
  async close(boundMs: number): Promise<void> {
    this.draining.abort();
    await this.listener.close(boundMs);
  }

  private handle(call: ReceivedCall): void {
    const { request, response, peer } = call;
    const [path = ""] = (request.url ?? "").split("?", 1);
    const { pages, livePage } = this.modules;
    if (livePage?.has(path) === true) livePage.answer(path, request, response);
    else if (pages?.has(path) === true) this.answerPage(pages, path, request, response, peer);
    else if (request.method === "POST") {
      if (this.admission.serves(path)) this.admission.handle(path, call);
      else {
        const { receivedAtMs } = call;
        const ended = { code: "unimplemented", principal: "", receivedAtMs } as const;
        countCall(path, response, ended, this.modules);
        answerUnimplemented(path, request, response);
      }
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
