/** TLS credentials from files that may change: grpc-js reads the files again and again. */
import { readFileSync } from "node:fs";
import { createSecureContext, rootCertificates } from "node:tls";
import type { ChannelCredentials } from "@grpc/grpc-js";
import { experimental } from "@grpc/grpc-js";

const READ_EVERY_MS = 5000;

/** Paths of PEM files. The client reads them every 5 s; new connections use what it read last. */
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

/** Makes credentials for a channel. Throws `TypeError` when a file cannot be used. */
export function tlsCredentials(options: TlsOptions): ChannelCredentials {
  const { ca, certificate, key } = options;
  check(options);
  const { FileWatcherCertificateProvider } = experimental;
  const own =
    certificate === undefined || key === undefined
      ? null
      : new FileWatcherCertificateProvider({
          certificateFile: certificate,
          privateKeyFile: key,
          refreshIntervalMs: READ_EVERY_MS,
        });
  const authorities =
    ca === undefined
      ? builtIn
      : new FileWatcherCertificateProvider({
          caCertificateFile: ca,
          refreshIntervalMs: READ_EVERY_MS,
        });
  return experimental.createCertificateProviderChannelCredentials(authorities, own);
}

/** Throws `TypeError` for an invalid file: grpc-js would retry for ever and not name the file. */
function check({ ca, certificate, key }: TlsOptions): void {
  if ((certificate === undefined) !== (key === undefined)) {
    throw new TypeError("TLS certificate without key, or key without certificate: set both");
  }
  const read = (what: string, path: string | undefined) => {
    if (path === undefined) return {};
    try {
      return { [what]: readFileSync(path) };
    } catch (cause) {
      const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
      throw new TypeError(`TLS ${what} ${path} cannot be read (${code})`, { cause });
    }
  };
  const files = { ...read("ca", ca), ...read("cert", certificate), ...read("key", key) };
  try {
    createSecureContext(files);
  } catch (cause) {
    const paths = [ca, certificate, key].filter((path) => path !== undefined).join(", ");
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new TypeError(`TLS cannot use ${paths}: ${why}`, { cause });
  }
}

type AuthorityProvider = Parameters<
  typeof experimental.createCertificateProviderChannelCredentials
>[0];

/** The certificate authorities that Node.js trusts. */
const builtIn: AuthorityProvider = {
  addCaCertificateListener(listener) {
    const caCertificate = Buffer.from(rootCertificates.join("\n"));
    process.nextTick(listener, { caCertificate });
  },
  removeCaCertificateListener: () => undefined,
  addIdentityCertificateListener: () => undefined,
  removeIdentityCertificateListener: () => undefined,
};
