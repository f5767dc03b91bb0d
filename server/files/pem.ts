/** Reads certificates and keys in PEM; errors say what is wrong with a file and what to do. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { codeOf } from "./file-reason.js";

/** What is wrong with one file, and what to do; the message continues its path. */
export class PemProblem extends Error {
  override readonly name = "PemProblem";
}

/** The certificates of a PEM file, at least one. Throws `PemProblem`. */
export function certificatesIn(content: Buffer): [X509Certificate, ...X509Certificate[]] {
  const blocks = content
    .toString("latin1")
    .match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
  const [first, ...rest] = (blocks ?? []).map((block) => {
    try {
      return new X509Certificate(block);
    } catch {
      throw new PemProblem("has a certificate that cannot be decoded: replace the file");
    }
  });
  if (first !== undefined) return [first, ...rest];
  throw new PemProblem("is not a certificate in PEM (-----BEGIN CERTIFICATE-----): convert it");
}

/** The private key of a PEM file. Throws `PemProblem`. */
export function privateKeyIn(content: Buffer) {
  const text = content.toString("latin1");
  if (text.includes("ENCRYPTED"))
    throw new PemProblem("is encrypted: name a key without a passphrase");
  try {
    return createPrivateKey(content);
  } catch {
    throw new PemProblem("is not a private key in PEM (-----BEGIN PRIVATE KEY-----): convert it");
  }
}

/** Throws `PemProblem` for a certificate that has expired or is not valid yet. */
export function checkTime(certificate: X509Certificate, nowUnixMs: number): void {
  const { validFrom, validTo } = certificate;
  if (expiryOf(certificate) <= nowUnixMs) throw new PemProblem(`expired at ${validTo}: renew it`);
  if (Date.parse(validFrom) > nowUnixMs) {
    throw new PemProblem(`is not valid before ${validFrom}: check this machine's clock`);
  }
}

/** Whether the certificate is valid at this time. */
export function isInTime(certificate: X509Certificate, nowUnixMs: number): boolean {
  return Date.parse(certificate.validFrom) <= nowUnixMs && nowUnixMs < expiryOf(certificate);
}

/** Unix time in milliseconds. */
export function expiryOf({ validTo }: X509Certificate): number {
  return Date.parse(validTo);
}

/** Throws `PemProblem` for what only OpenSSL finds, such as a key that is too short. */
export function usable(cert: Buffer, key: Buffer): void {
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const code = codeOf(error) ?? "";
    const isWeak = /_TOO_(SMALL|WEAK)$/.test(code);
    const why = isWeak ? "is too weak for TLS" : `cannot be used with its key (${code})`;
    throw new PemProblem(`${why}: replace both with ones of at least 2048 bits (RSA) or 256 (EC)`);
  }
}
