/**
 * The client of a connection, as far as the transport knows it: the address that it connected to,
 * and the certificate that it has proved to own. `access/` decides what the client may do.
 */
import { X509Certificate } from "node:crypto";

export interface Peer {
  /** The configured address that the client connected to: `host:port` or `unix:/path`. */
  readonly listener: string;
  readonly transport: "unix" | "tcp";
  readonly isEncrypted: boolean;
  /** The client's certificate, checked against the configured client CA; absent without mutual TLS. */
  readonly certificate?: PeerCertificate;
}

export interface PeerCertificate {
  /**
   * Alternative names as `type:value`, in the certificate's order: `DNS:node-1.example`,
   * `URI:spiffe://fleet/node-1`, `IP Address:10.0.0.7`, `email:…`.
   */
  readonly subjectAltNames: readonly string[];
  /** The common name; absent when the subject has no common name, or several. */
  readonly commonName?: string;
  /** SHA-256 of the certificate, in lower-case hexadecimal digits. */
  readonly fingerprint: string;
}

/** What is known of every client that connects to the address, before any certificate. */
export function peerAt(listener: string, isEncrypted: boolean): Peer {
  const transport = listener.startsWith("unix:") ? "unix" : "tcp";
  return { listener, transport, isEncrypted };
}

/** The peer with its certificate. @param der as the TLS handshake checked it; undefined: none */
export function withCertificate(peer: Peer, der: Buffer | undefined): Peer {
  if (der === undefined) return peer;
  const { subject, subjectAltName, fingerprint256 } = new X509Certificate(der);
  // Its type is always text, but Node returns undefined for an empty subject.
  const commonNames = ((subject as string | undefined) ?? "")
    .split("\n")
    .filter((line) => line.startsWith("CN="));
  const [commonName] = commonNames.length === 1 ? commonNames : [];
  return {
    ...peer,
    certificate: {
      subjectAltNames: alternativeNames(subjectAltName ?? ""),
      ...(commonName !== undefined && { commonName: commonName.slice("CN=".length) }),
      fingerprint: fingerprint256.replaceAll(":", "").toLowerCase(),
    },
  };
}

/** Splits Node's text: names joined with ", ", one with a comma or a quote as a JSON string. */
function alternativeNames(text: string): string[] {
  const names = text.match(/[A-Za-z ]+:("(?:[^"\\]|\\.)*"|[^,]*)/g) ?? [];
  return names.map((name) => {
    const [, type = "", value = ""] = /^ ?([^:]+):(.*)$/s.exec(name) ?? [];
    return `${type}:${value.startsWith('"') ? String(JSON.parse(value)) : value}`;
  });
}
