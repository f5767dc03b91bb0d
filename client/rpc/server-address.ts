/** How the address of a service is written, and what it says about TLS. */

export interface ServerAddress {
  /** As grpc-js takes it. */
  target: string;
  /** Undefined: the address leaves it open. */
  isEncrypted: boolean | undefined;
}

/**
 * `host:port` and grpc-js's own forms (`dns:host:port` asks DNS again as connections break, and
 * finds all of a service's addresses), `unix:/path` in plain text, `https://host[:port]` over TLS,
 * `http://host[:port]` without. Throws `TypeError` on a URL that has more to it than that.
 */
export function parseServerAddress(text: string): ServerAddress {
  if (text.startsWith("unix:")) return { target: text, isEncrypted: false };
  if (!/^https?:/.test(text)) return { target: text, isEncrypted: undefined };
  const bare = /^(https?):\/\/([^\s/@?#]+?)(:\d{1,5})?\/?$/.exec(text);
  if (bare === null) throw new TypeError(`${text} is not an address: expected https://host:port`);
  const [, scheme, host, port] = bare;
  const isEncrypted = scheme === "https";
  return { target: `dns:${host}${port ?? (isEncrypted ? ":443" : ":80")}`, isEncrypted };
}
