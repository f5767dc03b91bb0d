/**
 * Keeps pages of other sites away from loopback addresses. A browser on this machine runs such a
 * page, and the site's own DNS name can be made to point at 127.0.0.1 (DNS rebinding): the browser
 * then lets the page call the service. Only the names in the request, `Host` and `Origin`, show it.
 */
import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";
import { isIP } from "node:net";
import { quoted } from "../errors.js";
import { isLocal } from "./address.js";
import type { Peer } from "./peer.js";

/** A host, in brackets if it is an IPv6 address, and a port. */
const HOST_PATTERN = /^(\[[^[\]]*\]|[^:[\]/@?#\\\s]*)(?::\d*)?$/;
const LOOPBACK_NAME = /^([a-z0-9_-]+\.)*localhost$/;
/** `application/grpc` and its formats: a browser cannot send it without an `Origin`. */
const GRPC_TYPE = /^\s*application\/grpc(\+|;|\s|$)/i;

/** What the rule reads of a request, of HTTP/1.1 or HTTP/2. */
export interface RequestHead {
  method?: string | undefined;
  url?: string | undefined;
  headers: IncomingHttpHeaders;
  /** Names and values in turn, with the repetitions that `headers` lacks. */
  rawHeaders: readonly string[];
}

/**
 * Why the request may come from a page of another site, as a text for the caller; undefined when it
 * may be served. Every host that the request names must be a loopback name, an IP address or in
 * `allowedHosts`. Exempt are Unix sockets, TLS, other addresses than loopback ones, gRPC calls
 * without an `Origin`, and requests that name no host at all: a browser always names one.
 *
 * @param allowedHosts names in lower case, without a port
 */
export function hostProblem(
  request: RequestHead,
  peer: Peer,
  allowedHosts: readonly string[],
): string | undefined {
  const { origin, "content-type": type = "" } = request.headers;
  // A page's GET has no `Origin`, whatever its content type.
  if (origin === undefined && request.method === "POST" && GRPC_TYPE.test(type)) return undefined;
  if (peer.transport !== "tcp" || peer.isEncrypted || !isLocal(peer.listener)) return undefined;
  for (const { header, value, host } of hostsIn(request)) {
    if (host !== undefined && isAllowed(host, allowedHosts)) continue;
    const name = host === undefined || host === "" ? "a name" : "it";
    return (
      `${header} is ${quoted(value)}, which may be a web page of another site: call ` +
      `localhost or an IP address, or add ${name} to --allowed-hosts`
    );
  }
  return undefined;
}

/** Answers 403, in the form that gRPC-Web and Connect read a refusal from. */
export function answerForbidden(
  request: RequestHead,
  response: ServerResponse | Http2ServerResponse,
  message: string,
): void {
  const type = request.headers["content-type"] ?? "";
  if (type.toLowerCase().startsWith("application/grpc")) {
    const status = { "grpc-status": "7", "grpc-message": encodeURI(message) };
    response.writeHead(403, { "content-type": type, ...status });
    response.end();
  } else {
    response.writeHead(403, { "content-type": "application/json" });
    response.end(`${JSON.stringify({ code: "permission_denied", message })}\n`);
  }
}

interface NamedHost {
  /** The header that names it, as a user writes it. */
  header: string;
  value: string;
  /** In lower case, without port, brackets and a dot at its end; undefined: none can be read. */
  host: string | undefined;
}

/** Every host that the request names, also in a header that Node drops as a repetition. */
function hostsIn({ rawHeaders, url = "" }: RequestHead): NamedHost[] {
  const found: NamedHost[] = [];
  const add = (header: string, value: string, authority: string | undefined) =>
    found.push({ header, value, host: authority === undefined ? undefined : hostOf(authority) });
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]?.toLowerCase();
    const value = rawHeaders[at + 1] ?? "";
    if (name === "host" || name === ":authority") add("Host", value, value);
    else if (name === "origin") add("Origin", value, authorityOf(value));
  }
  // A request line with a whole URL: its host counts, not that of the header.
  if (!url.startsWith("/") && url !== "*") add("the URL", url, authorityOf(url));
  return found;
}

/** The `host:port` of a URL such as `http://name:80/path`; undefined when it has none. */
function authorityOf(url: string): string | undefined {
  return /^[a-z][a-z0-9+.-]*:\/\/([^/?#]+)/i.exec(url)?.[1];
}

function hostOf(authority: string): string | undefined {
  const [, host] = HOST_PATTERN.exec(authority.trim()) ?? [];
  return host?.toLowerCase().replace(/^\[|\]$|\.$/g, "");
}

function isAllowed(host: string, allowedHosts: readonly string[]): boolean {
  return isIP(host) !== 0 || LOOPBACK_NAME.test(host) || allowedHosts.includes(host);
}
