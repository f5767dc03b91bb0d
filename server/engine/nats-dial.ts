/**
 * Connects once to one NATS server. Loads the NATS package, which nothing else does, so that a
 * service without an engine never has it in memory.
 */
import { once } from "node:events";
import { connect as connectSocket } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { NatsConnection, TlsOptions } from "@nats-io/transport-node";
import { systemClock } from "../clock.js";
import { codeOf, fileReason } from "../files/file-reason.js";
import { limits } from "../limits.js";
import { certificatesIn, expiryOf, PemProblem } from "../files/pem.js";
import { readFileWithin } from "../files/read-file.js";

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

/** A connection to one server. */
export interface Dialled {
  readonly connection: NatsConnection;
  /** Unix time in milliseconds at which the server's certificate expires; undefined without TLS. */
  readonly serverExpiresAtMs: number | undefined;
}

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
): Promise<Dialled> {
  let tlsOptions: TlsOptions | null = null;
  try {
    tlsOptions = url.startsWith("tls:") ? readTls(tls) : null;
    const { socket, hostname, port, greeting } = await greet(url);
    const speaksTls = /"tls_(required|available)": ?true/.test(greeting);
    const looksAt = speaksTls ? tlsOptions : null;
    const serverExpiresAtMs = await serverExpiry(socket, hostname, looksAt).finally(() => {
      socket.destroy();
    });
    if (tlsOptions === null && /"tls_required": ?true/.test(greeting)) {
      throw new DialError("the server wants TLS: name it with tls://");
    }
    checkPayload(greeting);
    const connection = await nats.connect({
      servers: [`${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`],
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
    return { connection, serverExpiresAtMs };
  } catch (error) {
    if (error instanceof DialError) throw error;
    const reason = dialReason(nats, error);
    // A server that refuses the certificate may end the connection before its reason is read.
    const isOver = reason === REASONS["ECONNRESET"] && hasExpired(tlsOptions);
    throw new DialError(isOver ? EXPIRED : reason, { cause: error });
  }
}

/**
 * Resolves when the server has greeted a connection. One that is ended at once precedes each dial,
 * as the package keeps for ever the socket of a connection that a frozen server takes and never
 * greets.
 */
async function greet(url: string) {
  const { hostname: host, port: given } = new URL(url);
  const hostname = host.replace(/^\[|\]$/g, "");
  const port = Number(given || "4222");
  const socket = connectSocket({ host: hostname, port });
  try {
    const signal = AbortSignal.timeout(DIAL_MS);
    const greeting = String((await once(socket, "data", { signal }))[0]);
    if (!greeting.startsWith("INFO ")) throw new DialError("another program listens there");
    return { socket, hostname, port, greeting };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** When the certificate expires that the server shows, as Unix time; undefined without TLS. */
async function serverExpiry(
  socket: Socket,
  servername: string,
  options: TlsOptions | null,
): Promise<number | undefined> {
  if (options === null) return undefined;
  const secure = connectTls({ ...options, socket, servername });
  await once(secure, "secureConnect", { signal: AbortSignal.timeout(DIAL_MS) });
  // A server that refuses the certificate says so after its handshake; the connection proper has its reason.
  secure.on("error", () => {});
  const shown = secure.getPeerX509Certificate();
  return shown === undefined ? undefined : expiryOf(shown);
}

/** A server that takes less than the largest message would have it throw, or end the connection. */
function checkPayload(greeting: string): void {
  const bytes = Number(/"max_payload": ?(\d+)/.exec(greeting)?.[1] ?? Infinity);
  const { enginePayloadBytesMax: needed } = limits;
  if (bytes >= needed) return;
  throw new DialError(
    `the server takes ${bytes} bytes a message: set its max_payload to ${needed}`,
  );
}

/** The contents of the files. Throws `DialError`. */
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

/** Whether this process's own certificate has expired; false without one that can be read. */
function hasExpired(options: TlsOptions | null): boolean {
  if (typeof options?.cert !== "string") return false;
  try {
    const [own] = certificatesIn(Buffer.from(options.cert));
    return expiryOf(own) <= systemClock.unixMs();
  } catch (error) {
    // The file was read while it was written: the dial has failed for another reason.
    if (error instanceof PemProblem) return false;
    throw error;
  }
}

const EXPIRED = "the certificate has expired: renew it";

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
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: EXPIRED,
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: "the server refused the certificate",
};

function dialReason(nats: NatsPackage, error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const known = REASONS[codeOf(error) ?? ""] ?? REASONS[codeOf(cause) ?? ""];
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
