/**
 * Liveness and readiness in plain HTTP at an address of their own, for whoever probes a container:
 * a kubelet has no client certificate to show. Says nothing but that, so any address will do.
 */
import { limits } from "../limits.js";
import type { EdgeRequest, EdgeResponse } from "./call-admission.js";
import { answerText, refuseMethod } from "./http-answers.js";
import { HttpListener } from "../net/http-listener.js";
import type { ListenerModules, ListenerSecurity } from "../net/listener.js";

export interface ProbeServerModules extends ListenerModules {
  /** Why the service is not ready; undefined when it is. */
  notReady(): string | undefined;
}

export class ProbeServer {
  private readonly listener: HttpListener;

  /** @param socket access to the address, where it is a Unix socket */
  constructor(
    socket: ListenerSecurity["socket"],
    private readonly modules: ProbeServerModules,
  ) {
    this.listener = new HttpListener(
      (request, response) => this.handle(request, response),
      { name: "probes", connectionsMax: limits.probeConnectionsMax, socket, tls: undefined },
      modules,
    );
  }

  /** Binds an address (`host:port` or `unix:/path`); returns the address with its real port. */
  listen(address: string): Promise<string> {
    return this.listener.listen(address);
  }

  close(boundMs: number): Promise<void> {
    return this.listener.close(boundMs);
  }

  private handle({ url = "", method = "" }: EdgeRequest, response: EdgeResponse): void {
    const [path = ""] = url.split("?", 1);
    const isProbe = path === "/livez" || path === "/readyz";
    if (!isProbe) answerText(response, 404, "not found: try /livez, /readyz\n");
    else if (!["GET", "HEAD"].includes(method)) refuseMethod(response, "GET, HEAD");
    else if (path === "/livez" || this.modules.notReady() === undefined) {
      answerText(response, 200, "ok\n");
    } else answerText(response, 503, "not ready\n"); // the reason is for the log and the edge
  }
}
