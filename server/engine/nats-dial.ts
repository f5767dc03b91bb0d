/**
 * Connects once to one NATS server. Loads the NATS package, which nothing else does, so that a
 * service without an engine never has it in memory.
 */
import { once } from "node:events";
import { connect as connectSocket } from "node:net";
import type { NatsConnection, TlsOptions } from "@nats-io/transport-node";
import { codeOf, fileReason } from "../file-reason.js";
import { limits } from "../limits.js";
import { readFileWithin } from "../read-file.js";

export type NatsPackage = typeof import("@nats-io/transport-node");

export const loadNats = (): Promise<NatsPackage> => import("@nats-io/transport-node");

/** Paths of PEM files; they are read anew for each connection. */
export interface EngineTlsFiles {
  /** Authorities of the servers' certificates. Default: those that Node.js knows. */
  readonly ca: string | undefined;
  /** This process's certificate and its key. Default: none, which most servers refuse. */
  readonly certificate: string | undefined;
  readonly key: string | undefined;
}

export interface DialOptions {
  /** Shown by the server's monitoring. */
  readonly name: string;
  /** Answers to requests come on subjects below it. */
  readonly inboxPrefix: string;
  /** For `tls://` servers. */
  readonly tls: EngineTlsFiles;
}

/** Time for each step to a connection: a server far away under load takes a tenth. */
const DIAL_MS = 2000;
/** A server that does not answer two pings is left: one that is frozen, after 1.5 s. */
const PING_MS = 500;
const PINGS_UNANSWERED_MAX = 2;

/** The reason why a server cannot be reached, for people, and what to do about it. */
export class DialError extends Error {
  override readonly name = "DialError";
}

/**
 * Resolves with a connection that never connects again by itself. Rejects with `DialError`.
 * @param url such as `tls://nats-0.example:4222`
 */
export async function dial(
  nats: NatsPackage,
  url: string,
  { name, inboxPrefix, tls }: DialOptions,
): Promise<NatsConnection> {
  const { protocol, hostname, port } = new URL(url);
  const tlsOptions = protocol === "tls:" ? readTls(tls) : null;
  try {
    await greet(hostname.replace(/^\[|\]$/g, ""), Number(port || "4222"));
    return await nats.connect({
      servers: [`${hostname}:${port || "4222"}`],
      name,
      inboxPrefix,
      tls: tlsOptions,
      noEcho: true,
      reconnect: false,
      ignoreClusterUpdates: true,
      noAsyncTraces: true,
      timeout: DIAL_MS,
      pingInterval: PING_MS,
      maxPingOut: PINGS_UNANSWERED_MAX,
    });
  } catch (error) {
    throw new DialError(dialReason(nats, error), { cause: error });
  }
}

/**
 * Resolves when the server greets a first connection, which ends with that: the package keeps the
 * socket of a connection for ever that a frozen server accepts and never answers.
 */
async function greet(host: string, port: number): Promise<void> {
  const socket = connectSocket({ host, port });
  try {
    await once(socket, "data", { signal: AbortSignal.timeout(DIAL_MS) });
  } finally {
    socket.destroy();
  }
}

function readTls({ ca, certificate, key }: EngineTlsFiles): TlsOptions {
  const read = (path: string) => {
    try {
      const { tlsFileBytesMax } = limits;
      return readFileWithin(path, { bytesMax: tlsFileBytesMax, mustBeFile: true }).toString();
    } catch (error) {
      throw new DialError(`${path} cannot be read: ${fileReason(error, path)}`);
    }
  };
  return {
    ...(ca === undefined ? {} : { ca: read(ca) }),
    ...(certificate === undefined ? {} : { cert: read(certificate) }),
    ...(key === undefined ? {} : { key: read(key) }),
  };
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there: start the server, or name another one",
  ENOTFOUND: "there is no such host name",
  EAI_AGAIN: "the host name cannot be resolved now",
  EHOSTUNREACH: "no network leads there",
  ENETUNREACH: "no network leads there",
  ECONNRESET: "the server ended the connection",
  ABORT_ERR: `no answer in ${DIAL_MS / 1000} s: it is frozen, or speaks another protocol`,
  CERT_HAS_EXPIRED: "the server's certificate has expired: renew it",
  CERT_NOT_YET_VALID: "the server's certificate is not valid yet: check the clocks",
  DEPTH_ZERO_SELF_SIGNED_CERT: "no authority in the CA file signed the server's certificate",
  SELF_SIGNED_CERT_IN_CHAIN: "no authority in the CA file signed the server's certificate",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "no authority in the CA file signed the server's certificate",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "no authority in the CA file signed the server's certificate",
  ERR_TLS_CERT_ALTNAME_INVALID: "the server's certificate is for another host name",
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: "the server wants a certificate: name one",
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: "the server does not know who signed the certificate",
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: "the certificate has expired: renew it",
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: "the server refused the certificate",
};

function dialReason(nats: NatsPackage, error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const known = REASONS[codeOf(cause) ?? codeOf(error) ?? ""];
  if (known !== undefined) return known;
  if (error instanceof nats.errors.TimeoutError) return REASONS["ABORT_ERR"] ?? "";
  if (error instanceof nats.errors.AuthorizationError) {
    return "the server lets nobody in with this certificate: add its name to the server's users";
  }
  const text = cause instanceof Error ? cause.message : String(cause);
  if (text.includes("does not support 'tls'")) {
    return "the server speaks plain text: turn on its TLS, or name it with nats://";
  }
  return text;
}
