/** The client of a command, from the flags that say which service, how, and who calls. */
import { readFileSync } from "node:fs";
import type { Client } from "@grpc/grpc-js";
import { AggregatorClient } from "../../client/rpc/aggregator-client.js";
import { openChannel } from "../../client/rpc/channel.js";
import type { ChannelOptions } from "../../client/rpc/channel.js";
import { usageError } from "./command.js";
import { reasonOf } from "./read-input.js";

export interface ConnectOptions {
  /** Address of the service. */
  server: string;
  /** PEM files, as `TlsOptions`; any of them makes it TLS. */
  tlsCa?: string;
  tlsCertificate?: string;
  tlsKey?: string;
  tlsServerName?: string;
  /** Holds the token; its value is never an argument, for `ps` shows those to everybody. */
  tokenFile?: string;
}

/** Throws `CommandError` with exit code 2 when a flag cannot be used. */
export function connect(options: ConnectOptions): AggregatorClient {
  const token = tokenOf(options.tokenFile);
  return withUsableFlags(
    () => new AggregatorClient({ ...channelOptions(options), ...(token && { token }) }),
  );
}

/** The same, for calls of another service, which takes no token. */
export function connectChannel(options: ConnectOptions): Client {
  return withUsableFlags(() => openChannel(channelOptions(options)));
}

function channelOptions(options: ConnectOptions): ChannelOptions {
  const { server, tlsCa: ca, tlsCertificate: certificate, tlsKey: key } = options;
  const given = { ca, certificate, key, serverName: options.tlsServerName };
  const isTls = Object.values(given).some((value) => value !== undefined);
  return { address: server, ...(isTls && { tls: given }) };
}

function withUsableFlags<T>(open: () => T): T {
  try {
    return open();
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw usageError("the service cannot be reached so", cause.message, "mend the flags", cause);
  }
}

/** Reads the file now, to fail early, and for each call, for tokens are replaced. */
export function tokenOf(file: string | undefined): (() => string) | undefined {
  if (file === undefined) return undefined;
  const read = () => readFileSync(file, "utf8").trim();
  try {
    const first = read();
    if (first === "") throw new Error("it is empty");
    // A pipe has it once only.
    return () => readAgain(read) || first;
  } catch (cause) {
    const where = `${file} (${reasonOf(cause)})`;
    throw usageError("cannot read the token", where, "check --token-file", cause);
  }
}

function readAgain(read: () => string): string {
  try {
    return read();
  } catch {
    return ""; // a file on its way out; the service says whether the old token still holds
  }
}
