/**
 * What a call is known by, from its connection and its headers. A client certificate counts before a
 * token, and a token before where the call came in; what counts decides alone, so that a mistyped
 * token is never taken for somebody who sent none.
 */
import type { Credential } from "../access/policy.js";
import { tokenHash } from "../access/token.js";
import type { Peer, PeerCertificate } from "../net/peer.js";

/** @param authorization the header's value, if there is one; never kept, logged or told */
export function credentialOf(peer: Peer, authorization: string | undefined): Credential {
  const { certificate, transport, listener, isEncrypted } = peer;
  const name = certificate === undefined ? undefined : nameOf(certificate);
  if (name !== undefined) return { kind: "certificate", name };
  const isLocal = transport === "unix" || isLoopback(listener);
  if (authorization !== undefined) {
    if (!isEncrypted && !isLocal) return { kind: "token_in_clear" };
    return { kind: "token", sha256: tokenHash(authorization.replace(/^bearer +/i, "")) };
  }
  if (transport === "unix") return { kind: "socket", path: listener.slice("unix:".length) };
  return { kind: isLocal ? "loopback" : "nothing" };
}

/** The first of its alternative names, or its common name; a certificate without either is nobody's. */
function nameOf({ subjectAltNames: [first], commonName }: PeerCertificate): string | undefined {
  return first ?? (commonName === undefined ? undefined : `CN:${commonName}`);
}

function isLoopback(address: string): boolean {
  return /^(127\.\d+\.\d+\.\d+|localhost|\[::1\]):/.test(address);
}
