/** TLS from files that may change: grpc-js reads them again, and a new connection uses what is new. */
import { readFileSync } from "node:fs";
import { createSecureContext, rootCertificates } from "node:tls";
import type { ChannelCredentials } from "@grpc/grpc-js";
import { experimental } from "@grpc/grpc-js";

const READ_EVERY_MS = 5000;

/** Paths of PEM files, read again every 5 s for connections from then on. */
export interface TlsOptions {
  /** Authorities that may have signed the server's certificate. Default: those of Node.js. */
  ca?: string | undefined;
  /** The client's own certificate, where the server asks for one; with `key`. Default: none. */
  certificate?: string | undefined;
  /** The key of `certificate`, without a passphrase. */
  key?: string | undefined;
  /** Expected in the server's certificate. Default: the address's host. */
  serverName?: string | undefined;
}

/** Throws `TypeError` when a file cannot be used. */
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

/** grpc-js would try for ever, and say only that it failed to load credentials. */
function check({ ca, certificate, key }: TlsOptions): void {
  if ((certificate === undefined) !== (key === undefined)) {
    throw new TypeError("a TLS certificate and its key come together: give both");
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

const builtIn: AuthorityProvider = {
  addCaCertificateListener(listener) {
    const caCertificate = Buffer.from(rootCertificates.join("\n"));
    process.nextTick(listener, { caCertificate });
  },
  removeCaCertificateListener: () => undefined,
  addIdentityCertificateListener: () => undefined,
  removeIdentityCertificateListener: () => undefined,
};
