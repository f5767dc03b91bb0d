/** One grpc-js channel to one address, set up for a node's tick: it reconnects fast. */
import type { ChannelCredentials } from "@grpc/grpc-js";
import { Client } from "@grpc/grpc-js";
import { PlainCredentials } from "./socket-credentials.js";
import { parseServerAddress } from "./server-address.js";
import { tlsCredentials } from "./tls-credentials.js";
import type { TlsOptions } from "./tls-credentials.js";
import type { TokenSource } from "./token.js";

/**
 * What the server may send before it waits for the client, in bytes: the largest proof and its
 * outcome. With the default of Node.js, 64 KiB, a proof of 200 KB waits for three round trips.
 */
const RECEIVE_WINDOW_BYTES = 1024 * 1024;

/** The largest message accepted, in bytes: a few of the largest proofs. grpc-js has 4 MiB. */
const RECEIVE_BYTES_MAX_DEFAULT = 32 * 1024 * 1024;

export interface ChannelOptions {
  /** `host:port`, `dns:host:port`, `https://host:port`, or `unix:/path/to/socket`. */
  address: string;
  /**
   * Turns TLS on, except for `unix:` and `http://` addresses. An `https://` address turns TLS on
   * without it. Default: plain text, which is for loopback.
   */
  tls?: TlsOptions;
  /** Used instead of credentials made from `tls`. Default: none. */
  credentials?: ChannelCredentials;
  /** The caller's token. It goes over TLS, to loopback or to a Unix socket only. Default: none. */
  token?: TokenSource;
  /** Largest message that the client accepts, in bytes. Default 32 MiB. */
  receiveBytesMax?: number;
}

/** As `channelOpener`, for one channel. */
export function openChannel(options: ChannelOptions): Client {
  return channelOpener(options)();
}

/**
 * Returns a function that makes a channel, which connects with the first call; the function does not
 * throw. Throws `TypeError` when the address or a TLS file cannot be used, or when a token would go
 * to another machine in plain text.
 */
export function channelOpener(options: ChannelOptions): () => Client {
  const { address, tls = {} } = options;
  const { target, host, isEncrypted, isLocal } = parseServerAddress(address);
  const isTls = isEncrypted ?? options.tls !== undefined;
  const fromTls = () => (isTls ? tlsCredentials(tls, host) : new PlainCredentials());
  const credentials = options.credentials ?? fromTls();
  // Anyone on the network path could read the token, and call as its owner.
  if (options.token !== undefined && !isLocal && !credentials._isSecure()) {
    throw new TypeError(
      `a token must not go to ${address} in plain text: use TLS, loopback or a Unix socket`,
    );
  }
  return () =>
    new Client(target, credentials, {
      // Never through a proxy of the environment (http_proxy and its like). A proxy cannot reach this
      // machine's loopback, would read a token sent in plain text, and costs a slot's time elsewhere.
      "grpc.enable_http_proxy": 0,
      // No limit here, as the server has one.
      "grpc.max_send_message_length": -1,
      "grpc.max_receive_message_length": options.receiveBytesMax ?? RECEIVE_BYTES_MAX_DEFAULT,
      "grpc-node.flow_control_window": RECEIVE_WINDOW_BYTES,
      // grpc-js would back off from 1 s to 120 s; a slot lasts 4 s.
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 2000,
      // A service that was moved has a new address. By default grpc-js asks DNS once in 30 s.
      "grpc.dns_min_time_between_resolutions_ms": 2000,
      // The connection is not shared with other clients of this process, so that `close` closes it.
      "grpc.use_local_subchannel_pool": 1,
    });
}
