/** The client of a command, from the flags that say which service and how. */
import { AggregatorClient } from "../aggregator-client.js";
import { usageError } from "./command-error.js";

export interface ConnectOptions {
  /** Address of the service. */
  server: string;
  /** PEM files, as `TlsOptions`; any of them makes it TLS. */
  tlsCa?: string;
  tlsCertificate?: string;
  tlsKey?: string;
  tlsServerName?: string;
}

/** Throws `CommandError` with exit code 2 when a flag cannot be used. */
export function connect(options: ConnectOptions): AggregatorClient {
  const { server, tlsCa: ca, tlsCertificate: certificate, tlsKey: key } = options;
  const given = { ca, certificate, key, serverName: options.tlsServerName };
  const isTls = Object.values(given).some((value) => value !== undefined);
  try {
    return new AggregatorClient({ address: server, ...(isTls && { tls: given }) });
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw usageError("the service cannot be reached so", cause.message, "mend the flags", cause);
  }
}
