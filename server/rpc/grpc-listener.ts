/** Binding and shutting down of grpc-js servers: the data plane's and the operator's alike. */
import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import { connect } from "node:net";
import type { Server, ServerInterceptor } from "@grpc/grpc-js";
import { experimental, ServerCredentials } from "@grpc/grpc-js";
import type { Clock } from "../clock.js";

/**
 * Binds an address (`host:port` or `unix:/path`); returns the address with its real port. A Unix
 * socket gets `socketMode`, for whoever may write to it may call. The interceptors see the calls of
 * this address alone.
 */
export async function bindGrpc(
  server: Server,
  address: string,
  socketMode: number,
  interceptors: ServerInterceptor[] = [],
): Promise<string> {
  if (address.startsWith("unix:")) await removeStaleSocket(address.slice("unix:".length));
  const credentials = experimental.createServerCredentialsWithInterceptors(
    ServerCredentials.createInsecure(),
    interceptors,
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, credentials, (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  if (!address.startsWith("unix:")) return address.replace(/:\d+$/, `:${port}`);
  chmodSync(address.slice("unix:".length), socketMode);
  return address;
}

/** Lets calls finish for the bound, then cuts what is left. */
export async function shutDownGrpc(server: Server, clock: Clock, boundMs: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const cancel = clock.at(clock.nowMs() + boundMs, () => {
      server.forceShutdown();
      resolve();
    });
    server.tryShutdown(() => {
      cancel();
      resolve();
    });
  });
}

/** A socket file that nobody answers on is left over from a dead service. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error(`${path} is there already, and is no socket`);
  const isStale = await new Promise<boolean>((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(false);
    });
    // Any other error, a full backlog for one, comes of a service that lives.
    socket.on("error", (error) => resolve("code" in error && error.code === "ECONNREFUSED"));
  });
  if (!isStale) throw new Error(`another service answers on ${path}`);
  unlinkSync(path);
}
