/** Parses the address of a service as a user writes it, and what it says about encryption. */
import { hostProblem, isLocalAddress, readAddress } from "../../proto/address.js";

export interface ServerAddress {
  /** The address in the form that grpc-js takes. */
  target: string;
  /** The host, or the first of several, without brackets; empty for a Unix socket. */
  host: string;
  /** True for TLS, false for plain text, undefined when the address does not say. */
  isEncrypted: boolean | undefined;
  /** True for a Unix socket or a loopback address: nothing that is sent leaves this machine. */
  isLocal: boolean;
}

/** The text is no address of a service. The message says what was expected. */
export class AddressError extends TypeError {
  override readonly name = "AddressError";
  /** @param expected what is wrong with the text and what to write instead */
  constructor(
    readonly address: string,
    readonly expected: string,
  ) {
    super(`invalid address ${JSON.stringify(address)}: ${expected}`);
  }
}

/**
 * Reads `host:port`, `unix:/path` (plain text), `https://host[:port]` (TLS) and
 * `http://host[:port]` (plain text). `dns:host:port` is for a service whose address may change: it
 * asks DNS again when a connection breaks, and finds all addresses of the service. grpc-js's
 * `ipv4:host:port` and `ipv6:[host]:port` are read too. Throws `AddressError` for anything else.
 */
export function parseServerAddress(text: string): ServerAddress {
  const [, scheme = "", rest = ""] = /^(https?|dns|ipv4|ipv6):(.*)$/s.exec(text) ?? [];
  switch (scheme) {
    case "http":
    case "https":
      return parseUrl(text, scheme === "https");
    case "dns":
      return { ...parseHostPort(text, rest.replace(/^\/\/\//, "")), target: text };
    case "ipv4":
    case "ipv6": {
      const all = rest.split(",").map((each) => parseHostPort(text, each));
      const isLocal = all.every((each) => each.isLocal);
      return { target: text, host: all[0]?.host ?? "", isEncrypted: undefined, isLocal };
    }
    default:
      return parseHostPort(text, text);
  }
}

/** @param part the part of `text` that is `host:port` or `unix:/path` */
function parseHostPort(text: string, part: string): ServerAddress {
  const address = readAddress(part);
  if (address.kind === "problem") throw new AddressError(text, address.text);
  if (address.kind === "unix") {
    return { target: `unix:${address.path}`, host: "", isEncrypted: false, isLocal: true };
  }
  if (address.port === 0) throw new AddressError(text, "expected a port from 1 to 65535");
  const { host } = address;
  return { target: part, host, isEncrypted: undefined, isLocal: isLocalAddress(address) };
}

function parseUrl(text: string, isEncrypted: boolean): ServerAddress {
  const bare = /^https?:\/\/(\[[^\]]*\]|[^/@?#:]*)(:[^/@?#]*)?\/?$/.exec(text);
  if (bare === null) {
    const form = `${isEncrypted ? "https" : "http"}://host:port`;
    throw new AddressError(text, `expected ${form} without a path, a query or a user`);
  }
  const [, host = "", port = isEncrypted ? ":443" : ":80"] = bare;
  const wrong = hostProblem(host);
  if (wrong !== undefined) throw new AddressError(text, wrong);
  const address = parseHostPort(text, `${host}${port}`);
  return { ...address, target: `dns:${address.target}`, isEncrypted };
}
