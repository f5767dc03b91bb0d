/** One channel to one address, set up for a node's tick: quick to notice a dead server, and to return. */
import type { ChannelCredentials } from "@grpc/grpc-js";
import { Client, credentials as grpcCredentials } from "@grpc/grpc-js";
import { parseServerAddress } from "./server-address.js";
import { tlsCredentials } from "./tls-credentials.js";
import type { TlsOptions } from "./tls-credentials.js";

/**
 * What the server may send before it waits for us: a proof of the largest kind and its outcome.
 * Node's default, 64 KiB, makes a proof of 200 KB wait for three round trips.
 */
const RECEIVE_WINDOW_BYTES = 1024 * 1024;

/** A few proofs of the largest kind, and far above grpc-js's own 4 MiB. */
const RECEIVE_BYTES_MAX_DEFAULT = 32 * 1024 * 1024;

export interface ChannelOptions {
  /** `host:port`, `dns:host:port`, `https://host:port`, or `unix:/path/to/socket`. */
  address: string;
  /**
   * Given, or with an address of `https://`, TLS is spoken; never on a Unix socket. Default: plain
   * text, for loopback.
   */
  tls?: TlsOptions;
  /** In place of what `tls` makes. Default: none. */
  credentials?: ChannelCredentials;
  /** Largest message taken from the server, in bytes. Default 32 MiB. */
  receiveBytesMax?: number;
}

/** Throws `TypeError` when the address or a TLS file cannot be used. */
export function openChannel(options: ChannelOptions): {
  client: Client;
  target: string;
  isSecure: boolean;
} {
  const { target, isEncrypted = options.tls !== undefined } = parseServerAddress(options.address);
  const { tls = {} } = options;
  const { serverName } = tls;
  const fromTls = () => (isEncrypted ? tlsCredentials(tls) : grpcCredentials.createInsecure());
  const credentials = options.credentials ?? fromTls();
  const client = new Client(target, credentials, {
    ...(serverName !== undefined && { "grpc.ssl_target_name_override": serverName }),
    // The limit on a request is the server's to set; 4 MiB is below a large snapshot.
    "grpc.max_send_message_length": -1,
    "grpc.max_receive_message_length": options.receiveBytesMax ?? RECEIVE_BYTES_MAX_DEFAULT,
    "grpc-node.flow_control_window": RECEIVE_WINDOW_BYTES,
    // A dead server is noticed within about one tick of 800 ms.
    "grpc.keepalive_time_ms": 500,
    "grpc.keepalive_timeout_ms": 500,
    "grpc.keepalive_permit_without_calls": 1,
    // grpc-js would back off from 1 s to 120 s; a slot lasts 4 s.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 2000,
    // A replaced pod has a new address; the default waits 30 s before it asks again.
    "grpc.dns_min_time_between_resolutions_ms": 2000,
    // Closing this client closes its connection, whoever else talks to the address.
    "grpc.use_local_subchannel_pool": 1,
  });
  return { client, target, isSecure: credentials._isSecure() };
}
