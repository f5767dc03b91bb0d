/** TLS on connections that a listener has accepted: 1.3 only, with the handshake bounded in time. */
import { constants } from "node:crypto";
import type { Socket } from "node:net";
import { createServer } from "node:tls";
import type { TlsOptions } from "node:tls";
import { limits } from "../limits.js";
import type { TlsIdentity } from "./tls-files.js";
import type { TlsSource } from "./tls-source.js";

export interface TlsListenerOptions {
  /** In order of preference, by their ALPN names. */
  protocols: readonly string[];
  /** Called with a connection once its handshake is done and its certificate is checked. */
  serve(socket: Socket): void;
  /** Called with the reason why a connection was refused. */
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
      // Refused below, where the reason is known.
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
    // Node leaves a connection open whose handshake took too long.
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
    // No session is resumed: each connection shows its certificate to the current authority.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}
