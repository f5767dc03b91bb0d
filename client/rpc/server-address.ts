/** Parses the address of a service as a user writes it, and what it says about encryption. */

export interface ServerAddress {
  /** The address in the form that grpc-js takes. */
  target: string;
  /** True for TLS, false for plain text, undefined when the address does not say. */
  isEncrypted: boolean | undefined;
  /** True for a Unix socket or a loopback address: nothing that is sent leaves this machine. */
  isLocal: boolean;
}

const LOCAL = /^(unix:|(dns:)?(127\.\d+\.\d+\.\d+|localhost|\[::1\]):)/;

/**
 * Reads `host:port`, `unix:/path` (plain text), `https://host[:port]` (TLS) and
 * `http://host[:port]` (plain text). Passes grpc-js's own forms through, such as `dns:host:port`,
 * which asks DNS again when a connection breaks, and finds all addresses of the service. Throws
 * `TypeError` for a URL that has a path, a query or a user.
 */
export function parseServerAddress(text: string): ServerAddress {
  if (text.startsWith("unix:")) return { target: text, isEncrypted: false, isLocal: true };
  if (!/^https?:/.test(text))
    return { target: text, isEncrypted: undefined, isLocal: LOCAL.test(text) };
  const bare = /^(https?):\/\/(\[[^\s\]]+\]|[^\s/@?#:]+)(:\d{1,5})?\/?$/.exec(text);
  if (bare === null)
    throw new TypeError(`invalid address ${text}: write https://host:port or host:port`);
  const [, scheme, host, port] = bare;
  const isEncrypted = scheme === "https";
  const target = `dns:${host}${port ?? (isEncrypted ? ":443" : ":80")}`;
  return { target, isEncrypted, isLocal: LOCAL.test(target) };
}
