/** TLS 1.3 on connections that a listener has accepted, with a time limit on the handshake. */
import { constants } from "node:crypto";
import type { Socket } from "node:net";
import { createServer } from "node:tls";
import type { TlsOptions } from "node:tls";
import { limits } from "../limits.js";
import type { TlsIdentity } from "./tls-files.js";
import type { TlsSource } from "./tls-source.js";

export interface TlsListenerOptions {
  /** Protocols to agree on, by their ALPN names, in order of preference. */
  protocols: readonly string[];
  /**
   * Called with the TLS socket once the handshake is done and, where client authorities are
   * configured, the client's certificate is checked.
   */
  serve(socket: Socket): void;
  /** Called when the handshake failed, with the reason for the log. */
  refused(reason: string): void;
}

/** Returns the function that starts TLS on an accepted connection. */
export function tlsListener(source: TlsSource, options: TlsListenerOptions) {
  const { protocols, serve, refused } = options;
  const isMutual = source.identity.ca !== undefined;
  const server = createServer(
    {
      ...contextOf(source.identity),
      ALPNProtocols: [...protocols],
      handshakeTimeout: limits.handshakeMsMax,
      requestCert: isMutual,
      // The callback below refuses instead: only there is the reason known.
      rejectUnauthorized: false,
    },
    (socket) => {
      if (!isMutual || socket.authorized) serve(socket);
      else {
        refused(String(socket.authorizationError));
        socket.destroy();
      }
    },
  );
  server.on("tlsClientError", (error: NodeJS.ErrnoException, socket) => {
    refused(error.code ?? error.message);
    // After a handshake that took too long, Node leaves the connection open.
    socket.destroy();
  });
  source.onRenewal((identity) => server.setSecureContext(contextOf(identity)));
  return (socket: Socket) => void server.emit("connection", socket);
}

function contextOf({ cert, key, ca }: TlsIdentity): TlsOptions {
  return {
    cert,
    key,
    ...(ca !== undefined && { ca }),
    minVersion: "TLSv1.3",
    // No TLS session is resumed, so every connection is checked against the current authorities.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}
