/**
 * The endpoints (addresses of the service) that a node configures, each with its own connection.
 */
import { AggregatorClient } from "../rpc/aggregator-client.js";
import type { TickAggregatorOptions } from "./options.js";

export interface Endpoint {
  address: string;
  client: AggregatorClient;
}

/** Makes one client for each address. Throws `TypeError` for an empty list or invalid address. */
export function connectEndpoints(
  options: Pick<
    TickAggregatorOptions,
    "endpoints" | "tls" | "credentials" | "token" | "receiveBytesMax"
  >,
): readonly Endpoint[] {
  const addresses = [options.endpoints].flat();
  if (addresses.length === 0) throw new TypeError("endpoints is empty: name at least one");
  return [...new Set(addresses)].map((address) => ({
    address,
    client: new AggregatorClient({
      address,
      ...(options.tls && { tls: options.tls }),
      ...(options.credentials && { credentials: options.credentials }),
      ...(options.token !== undefined && { token: options.token }),
      ...(options.receiveBytesMax && { receiveBytesMax: options.receiveBytesMax }),
    }),
  }));
}
