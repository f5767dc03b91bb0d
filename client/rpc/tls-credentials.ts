/** TLS credentials from files that may change: each new connection reads the files again. */
import { readFileSync, statSync } from "node:fs";
import { isIP } from "node:net";
import type { Socket } from "node:net";
import { checkServerIdentity, connect, createSecureContext, rootCertificates } from "node:tls";
import type { SecureContext } from "node:tls";
import type { ChannelCredentials } from "@grpc/grpc-js";
import { SocketCredentials } from "./socket-credentials.js";

/** Far above any list of certificates. */
const FILE_BYTES_MAX = 1024 * 1024;

/** Paths of PEM files. A new connection uses what they hold then, or held last when valid. */
export interface TlsOptions {
  /** Path of the certificate authorities that the client trusts. Default: those of Node.js. */
  ca?: string | undefined;
  /** The client's own certificate, for a server that asks for one. Needs `key`. Default: none. */
  certificate?: string | undefined;
  /** The private key of `certificate`, without a passphrase. */
  key?: string | undefined;
  /** The name that the server's certificate must have. Default: the host of the address. */
  serverName?: string | undefined;
}

/** A file of `TlsOptions` cannot be used. */
export class TlsFileError extends TypeError {
  override readonly name = "TlsFileError";
  /**
   * @param option the option at fault
   * @param why what is wrong with it
   */
  constructor(
    readonly option: keyof TlsOptions,
    readonly why: string,
    options?: ErrorOptions,
  ) {
    super(`tls.${option} ${why}`, options);
  }
}

/**
 * Makes credentials for a channel. Throws `TlsFileError` when a file cannot be used.
 * @param host the host of the address, without brackets; the server's certificate must be for it,
 *   unless `serverName` is given
 */
export function tlsCredentials(options: TlsOptions, host: string): ChannelCredentials {
  checkFiles(options);
  return new FileCredentials(options, host, contextOf(readAll(options)));
}

interface Contents {
  ca: Buffer | undefined;
  cert: Buffer | undefined;
  key: Buffer | undefined;
}

function contextOf({ ca, cert, key }: Contents): SecureContext {
  return createSecureContext({
    ca: ca ?? [...rootCertificates],
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  });
}

/**
 * grpc-js's own credentials give an IP address as the server's name, which RFC 6066 forbids and
 * Node.js warns of.
 */
class FileCredentials extends SocketCredentials {
  constructor(
    private readonly options: TlsOptions,
    private readonly host: string,
    private context: SecureContext,
  ) {
    super();
  }

  override _isSecure(): boolean {
    return true;
  }

  protected override over(socket: Socket): Promise<Socket> {
    this.readAgain();
    return this.shake(socket);
  }

  /** Keeps the files that were read last when the present ones cannot be used. */
  private readAgain(): void {
    try {
      this.context = contextOf(readAll(this.options));
    } catch {
      // A file is being replaced: the next connection reads it again.
    }
  }

  private shake(socket: Socket): Promise<Socket> {
    const name = this.options.serverName ?? this.host;
    return new Promise((resolve, reject) => {
      const secured = connect({
        socket,
        secureContext: this.context,
        servername: isIP(name) === 0 ? name : "",
        // Otherwise NODE_TLS_REJECT_UNAUTHORIZED could send the token to anybody.
        rejectUnauthorized: true,
        checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate),
        ALPNProtocols: ["h2"],
      });
      const closed = () => reject(new Error("the connection was closed during the TLS handshake"));
      secured.once("error", reject).once("close", closed);
      secured.once("secureConnect", () => {
        secured.off("error", reject).off("close", closed);
        resolve(secured);
      });
    });
  }
}

function readAll({ ca, certificate, key }: TlsOptions): Contents {
  return {
    ca: ca === undefined ? undefined : read("ca", ca),
    cert: certificate === undefined ? undefined : read("certificate", certificate),
    key: key === undefined ? undefined : read("key", key),
  };
}

/** Throws `TlsFileError`: grpc-js would retry for ever, and name no file. */
function checkFiles({ ca, certificate, key }: TlsOptions): void {
  if (certificate !== undefined && key === undefined) {
    throw new TlsFileError("key", "is missing: it is needed with tls.certificate");
  }
  if (certificate === undefined && key !== undefined) {
    throw new TlsFileError("certificate", "is missing: it is needed with tls.key");
  }
  const use = (option: "ca" | "certificate" | "key", path: string | undefined, what: string) => {
    if (path === undefined) return undefined;
    const content = read(option, path);
    try {
      createSecureContext({ [option === "certificate" ? "cert" : option]: content });
      if (option === "key" || content.includes("-----BEGIN CERTIFICATE-----")) return content;
      throw new Error("no certificate");
    } catch (cause) {
      throw new TlsFileError(option, `${path} is not ${what} in PEM`, { cause });
    }
  };
  use("ca", ca, "a certificate");
  const cert = use("certificate", certificate, "a certificate");
  const privateKey = use("key", key, "a private key without a passphrase");
  try {
    if (cert !== undefined) createSecureContext({ cert, key: privateKey });
  } catch (cause) {
    const why = `${key ?? ""} is not the key of the certificate ${certificate ?? ""}`;
    throw new TlsFileError("key", why, { cause });
  }
}

/** Each connection reads the file again: a pipe or a device could make it wait, or never end. */
function read(option: keyof TlsOptions, path: string): Buffer {
  const wrong = (why: string, cause?: unknown) =>
    new TlsFileError(option, `${path} cannot be read: ${why}`, { cause });
  try {
    const found = statSync(path);
    if (found.isDirectory()) throw wrong("it is a folder");
    if (!found.isFile()) throw wrong("it is not a regular file");
    if (found.size > FILE_BYTES_MAX) throw wrong(`it has more than ${FILE_BYTES_MAX} bytes`);
    return readFileSync(path);
  } catch (cause) {
    if (cause instanceof TlsFileError) throw cause;
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    throw wrong(READ_REASONS[code] ?? `(${code})`, cause);
  }
}

const READ_REASONS: Readonly<Record<string, string>> = {
  ENOENT: "it does not exist",
  ENOTDIR: "a part of the path is a file, not a folder",
  EACCES: "permission denied",
};
