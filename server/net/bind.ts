/** Binds the servers of one address: one for a socket or an IP address, several for a name. */
import { once } from "node:events";
import type { AddressInfo, Server } from "node:net";
import { addressOf, ipAddressesOf } from "./address.js";
import {
  removeStaleSocket,
  setAccess,
  SocketError,
  SocketTakenError,
  underClosedMask,
} from "./unix-socket.js";
import type { SocketAccess } from "./unix-socket.js";

/** Attempts to find a port that is free at all addresses of a name, when the system chooses it. */
const ATTEMPTS_MAX = 5;

/** The service cannot listen at an address. The message says why and what to do. */
export class ListenError extends Error {
  override readonly name = "ListenError";
  readonly why: string;
  readonly todo: string;
  /** True when another process has the port or the socket. */
  readonly isTaken: boolean;

  /** @param address as in the settings */
  constructor(
    readonly address: string,
    cause: unknown,
  ) {
    const { why, todo } = reasonOf(cause, address.startsWith("unix:"));
    super(`cannot listen on ${address}: ${why}; ${todo}`, { cause });
    this.why = why;
    this.todo = todo;
    this.isTaken = codeOf(cause) === "EADDRINUSE" || cause instanceof SocketTakenError;
  }
}

export interface Bound {
  servers: readonly Server[];
  /** The port, also where the address had port 0; undefined for a Unix socket. */
  port: number | undefined;
}

/**
 * Binds servers that `make` makes. Rejects with `ListenError`, and then none of them is bound.
 * @param access who may open the address if it is a Unix socket; undefined: keeps the default
 */
export async function bind(
  address: string,
  make: () => Server,
  access?: SocketAccess,
): Promise<Bound> {
  const at = addressOf(address);
  try {
    if (at.kind === "unix") {
      return { servers: [await bindSocket(at.path, make, access)], port: undefined };
    }
    return await bindHosts(await ipAddressesOf(at.host), at.port, make);
  } catch (cause) {
    throw new ListenError(address, cause);
  }
}

async function bindSocket(
  path: string,
  make: () => Server,
  access: SocketAccess | undefined,
): Promise<Server> {
  await removeStaleSocket(path);
  const server = make();
  const listening = once(server, "listening");
  underClosedMask(() => server.listen({ path }));
  await listening;
  try {
    if (access !== undefined) setAccess(path, access);
    return server;
  } catch (error) {
    server.close();
    throw error;
  }
}

async function bindHosts(hosts: string[], port: number, make: () => Server): Promise<Bound> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await bindAll(hosts, port, make);
    } catch (error) {
      const mayRetry = port === 0 && hosts.length > 1 && attempt < ATTEMPTS_MAX;
      if (!mayRetry || codeOf(error) !== "EADDRINUSE") throw error;
    }
  }
}

/** Binds the same port at every host. Skips one that the machine lacks, if another is bound. */
async function bindAll(hosts: string[], port: number, make: () => Server): Promise<Bound> {
  const servers: Server[] = [];
  let missing: unknown;
  let chosen = port;
  try {
    for (const host of hosts) {
      const server = make();
      const listening = once(server, "listening");
      server.listen({ host, port: chosen });
      try {
        await listening;
      } catch (error) {
        if (!["EADDRNOTAVAIL", "EAFNOSUPPORT"].includes(codeOf(error))) throw error;
        missing = error;
        continue;
      }
      servers.push(server);
      chosen = (server.address() as AddressInfo).port;
    }
    if (servers.length === 0) throw missing;
    return { servers, port: chosen };
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

function reasonOf(cause: unknown, isSocket: boolean): { why: string; todo: string } {
  if (cause instanceof SocketError) return cause;
  if (cause instanceof SocketTakenError) return TAKEN_SOCKET;
  const code = codeOf(cause);
  const unknown = [`the system refuses it (${code || String(cause)})`, "choose another address"];
  const [why = "", todo = ""] = (isSocket ? undefined : REASONS[code]) ?? unknown;
  return { why, todo };
}

const TAKEN_SOCKET = {
  why: "another program listens there",
  todo: "stop it, or choose another path",
};

const REASONS: Readonly<Record<string, readonly [why: string, todo: string]>> = {
  EADDRINUSE: ["another program listens there", "stop it, or choose another port"],
  EADDRNOTAVAIL: ["this machine does not have that address", "choose one of its own"],
  EAFNOSUPPORT: ["this machine has no IPv6", "choose an IPv4 address"],
  EACCES: ["only root may use ports below 1024", "choose a port above 1023"],
  ENOTFOUND: ["the name does not resolve", "choose an address of this machine"],
  EAI_AGAIN: ["the name cannot be resolved now", "choose an IP address, or check the DNS"],
  EMFILE: ["too many files are open", "raise the limit with 'ulimit -n' or LimitNOFILE"],
};
