/**
 * The other end of a connection, as far as the transport knows it: the address that it came to, and
 * the certificate that it has proved to hold. What it may do is decided in `access/`.
 */
import { X509Certificate } from "node:crypto";

export interface Peer {
  /** The configured address that it connected to: `host:port`, or `unix:/path`. */
  readonly listener: string;
  readonly transport: "unix" | "tcp";
  readonly isEncrypted: boolean;
  /** The client's certificate, checked against the configured client CA; absent without mutual TLS. */
  readonly certificate?: PeerCertificate;
}

export interface PeerCertificate {
  /**
   * As `type:value`, in the certificate's order: `DNS:node-1.example`, `URI:spiffe://fleet/node-1`,
   * `IP Address:10.0.0.7`, `email:…`.
   */
  readonly subjectAltNames: readonly string[];
  /** Undefined when the subject has none, or more than one. */
  readonly commonName?: string;
  /** SHA-256 of the certificate, in lower-case hexadecimal digits. */
  readonly fingerprint: string;
}

/** The peer of every connection to an address, before its certificate is known. */
export function peerAt(listener: string, isEncrypted: boolean): Peer {
  const transport = listener.startsWith("unix:") ? "unix" : "tcp";
  return { listener, transport, isEncrypted };
}

/** @param der the certificate that the TLS handshake has checked; undefined without one */
export function withCertificate(peer: Peer, der: Buffer | undefined): Peer {
  if (der === undefined) return peer;
  const { subject, subjectAltName, fingerprint256 } = new X509Certificate(der);
  // Typed as text always; undefined without a subject.
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

/** Node joins names with ", " and writes one that holds a comma or a quote as a JSON string. */
function alternativeNames(text: string): string[] {
  const names = text.match(/[A-Za-z ]+:("(?:[^"\\]|\\.)*"|[^,]*)/g) ?? [];
  return names.map((name) => {
    const [, type = "", value = ""] = /^ ?([^:]+):(.*)$/s.exec(name) ?? [];
    return `${type}:${value.startsWith('"') ? String(JSON.parse(value)) : value}`;
  });
}
