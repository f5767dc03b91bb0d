/** The places where the service may be, each with its own connection. */
import { AggregatorClient } from "../rpc/aggregator-client.js";
import type { TickAggregatorOptions } from "./options.js";

/** One place where the service may be. */
export interface Endpoint {
  address: string;
  client: AggregatorClient;
}

/** One client for each address. Throws `TypeError` when there is none. */
export function connectEndpoints(
  options: Pick<
    TickAggregatorOptions,
    "endpoints" | "tls" | "credentials" | "token" | "receiveBytesMax"
  >,
): [Endpoint, ...Endpoint[]] {
  const addresses = [options.endpoints].flat();
  const [first, ...rest] = [...new Set(addresses)].map((address) => ({
    address,
    client: new AggregatorClient({
      address,
      ...(options.tls && { tls: options.tls }),
      ...(options.credentials && { credentials: options.credentials }),
      ...(options.token !== undefined && { token: options.token }),
      ...(options.receiveBytesMax && { receiveBytesMax: options.receiveBytesMax }),
    }),
  }));
  if (first === undefined) throw new TypeError("TickAggregator needs one endpoint at least");
  return [first, ...rest];
}
