/**
 * How the address of a service is written: `host:port`, with brackets around an IPv6 host, or
 * `unix:/path`. The settings of the service and the flags of its clients are read here, so that
 * both accept the same addresses and refuse the rest with the same words.
 */
import { isIPv4, isIPv6 } from "node:net";

export type Address = UnixAddress | TcpAddress;

/** A Unix socket. */
export interface UnixAddress {
  kind: "unix";
  /** The absolute path of the socket's file. */
  path: string;
}

export interface TcpAddress {
  kind: "tcp";
  /** A host name, an IPv4 address, or an IPv6 address without brackets. */
  host: string;
  /** From 0 to 65535; a listener at port 0 gets a free port from the system. */
  port: number;
}

/** What is wrong with a text that is no address, and what to write. */
export interface AddressProblem {
  kind: "problem";
  text: string;
}

/** Most bytes of a socket's path: the kernel's structure has room for one more, which ends it. */
const SOCKET_PATH_BYTES_MAX = process.platform === "linux" ? 107 : 103;
const PORT_MAX = 65_535;
/** The text of the problem with a text that has neither form. */
export const EXPECTED = "expected host:port or unix:/path";

const problem = (text: string): AddressProblem => ({ kind: "problem", text });

/** Reads `host:port`, `[IPv6]:port` or `unix:/path`. `unix:///path` is the same as `unix:/path`. */
export function readAddress(text: string): Address | AddressProblem {
  if (/^unix(-abstract)?:/i.test(text)) return readSocket(text);
  if (text.startsWith("/")) return problem(`expected unix: before the path, as in unix:${text}`);
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(text)?.[0];
  if (scheme !== undefined) return problem(`${EXPECTED}, without ${scheme}`);
  if (isIPv6(text) || /^[0-9a-f]*(:[0-9a-f]*){2,}$/i.test(text)) {
    return problem("expected brackets around an IPv6 host, as in [::1]:9190");
  }
  const [, host = "", port] = /^(\[[^\]]*\]|[^:[\]]*)(?::(.*))?$/.exec(text) ?? [];
  if (port === undefined) {
    const isHost = /[.[]|^localhost$/i.test(host) && hostProblem(host) === undefined;
    return problem(isHost ? `expected a port after the host, as in ${host}:9190` : EXPECTED);
  }
  const wrong = hostProblem(host);
  if (wrong !== undefined) return problem(wrong);
  if (!/^(0|[1-9]\d{0,4})$/.test(port) || Number(port) > PORT_MAX) {
    const isPadded = /^0+\d+$/.test(port);
    return problem(
      `expected a port from 0 to ${PORT_MAX}${isPadded ? ", without zeros before it" : ""}`,
    );
  }
  return { kind: "tcp", host: withoutBrackets(host), port: Number(port) };
}

/** What is wrong with a host as it is written before a port; undefined for a valid host. */
export function hostProblem(host: string): string | undefined {
  if (host === "" || host === "*") {
    return "expected a host before the port, such as 127.0.0.1";
  }
  if (host.startsWith("[")) {
    if (isIPv6(withoutBrackets(host))) return undefined;
    return "expected an IPv6 address in the brackets, as in [::1]:9190";
  }
  // Programs disagree on what 127.1, 010.0.0.1 and 0x7f.1 mean.
  if (/(^|\.)(\d+|0x[0-9a-f]*)\.?$/i.test(host)) {
    if (isIPv4(host)) return undefined;
    return "expected an IPv4 address of four numbers from 0 to 255, as in 127.0.0.1";
  }
  const labels = host.replace(/\.$/, "").split(".");
  const isName =
    host.length <= 253 && labels.every((label) => /^[\w]([\w-]{0,61}\w)?$/.test(label));
  return isName ? undefined : "expected a host name of letters, digits, - and .";
}

function readSocket(text: string): UnixAddress | AddressProblem {
  const path = text.replace(/^unix:(\/\/(?=\/))?/, "");
  if (/^unix-abstract:|^unix:[@\0]/i.test(text)) {
    return problem("abstract sockets are not supported: expected the path of a file");
  }
  if (!path.startsWith("/") || path.startsWith("//")) {
    return problem(
      "expected an absolute path after unix:, as in unix:/run/lean-aggregator/node.sock",
    );
  }
  if (path.includes("\0")) return problem("expected a path without the character NUL");
  if (path.endsWith("/")) return problem("expected the path of a file, not of a folder");
  const bytes = Buffer.byteLength(path);
  if (bytes > SOCKET_PATH_BYTES_MAX) {
    return problem(
      `the path has ${bytes} bytes, and a socket's may have at most ${SOCKET_PATH_BYTES_MAX}: ` +
        "use a shorter one",
    );
  }
  return { kind: "unix", path };
}

/** The address as `readAddress` reads it, in one form for all spellings of a host. */
export function writeAddress(address: Address): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  const { host, port } = address;
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

/** True for an address that only this machine can reach: loopback or a Unix socket. */
export function isLocalAddress(address: Address): boolean {
  return address.kind === "unix" || isLoopbackHost(address.host);
}

/** True for `localhost`, for all of 127.0.0.0/8, and for `::1`, however they are written. */
function isLoopbackHost(host: string): boolean {
  const canonical = canonicalHost(host);
  return (
    canonical === "localhost" ||
    canonical.replace(/%.*/, "") === "::1" ||
    /^127\.[\d.]+$/.test(canonical)
  );
}

/** True for `0.0.0.0` and `::`: a listener there takes the port at every address of the machine. */
export function isEveryHost(host: string): boolean {
  return ["0.0.0.0", "::"].includes(canonicalHost(host));
}

/**
 * One form for all spellings of a host: names in lower case, IPv6 addresses in their short form, an
 * IPv4 address that is written as an IPv6 one (`::ffff:127.0.0.1`) as IPv4.
 */
export function canonicalHost(host: string): string {
  const [address = "", zone] = withoutBrackets(host).split("%");
  if (!isIPv6(address)) return host.toLowerCase().replace(/\.$/, "");
  const short = withoutBrackets(new URL(`http://[${address}]/`).hostname);
  const [, high, low] = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(short) ?? [];
  if (high !== undefined && low !== undefined) {
    const word = (hex: string) => [Number.parseInt(hex, 16) >> 8, Number.parseInt(hex, 16) & 255];
    return [...word(high), ...word(low)].join(".");
  }
  return zone === undefined ? short : `${short}%${zone}`;
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[|\]$/g, "");
}
