/**
 * Gives a grpc-js server its connections, the data plane's and the operator's alike: accepted here,
 * for grpc-js neither counts them nor lets anybody near them.
 */
import type { Server, ServerInterceptor } from "@grpc/grpc-js";
import { experimental, ServerCredentials } from "@grpc/grpc-js";
import { newestHttp2Server } from "./grpc-sessions.js";
import { Listener } from "../net/listener.js";
import type { ListenerModules, ListenerOptions } from "../net/listener.js";
import type { Peer } from "../net/peer.js";
import { SessionRules } from "../net/http2-rules.js";

export class GrpcListener {
  private readonly listener: Listener;
  private readonly rules: SessionRules;

  constructor(
    private readonly server: Server,
    options: ListenerOptions,
    private readonly modules: ListenerModules,
  ) {
    this.listener = new Listener(options, modules);
    this.rules = new SessionRules(options.name, modules);
  }

  /**
   * Binds an address (`host:port` or `unix:/path`); returns the address with its real port.
   * `intercept` is told what the calls of this address have in common.
   */
  listen(address: string, intercept?: (peer: Peer) => ServerInterceptor): Promise<string> {
    const interceptors = intercept === undefined ? [] : [intercept(this.listener.peerAt(address))];
    // Plain, for TLS ends in the listener.
    const credentials = experimental.createServerCredentialsWithInterceptors(
      ServerCredentials.createInsecure(),
      interceptors,
    );
    const injector = this.server.createConnectionInjector(credentials);
    const connect = this.rules.govern(newestHttp2Server(this.server), (socket) =>
      injector.injectConnection(socket),
    );
    return this.listener.listen(address, connect);
  }

  /** Lets calls finish for the bound, then cuts what is left. */
  async close(boundMs: number): Promise<void> {
    const { clock } = this.modules;
    const ended = new Promise<void>((resolve) => {
      const cancel = clock.at(clock.nowMs() + boundMs, () => {
        this.server.forceShutdown();
        resolve();
      });
      this.server.tryShutdown(() => {
        cancel();
        resolve();
      });
    });
    await Promise.all([ended, this.listener.close(boundMs)]);
  }
}
