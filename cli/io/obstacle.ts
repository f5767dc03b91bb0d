/**
 * Finds out why calls do not reach a service. grpc-js reports every failed connection as one text,
 * so this opens a connection of its own, and judges by error codes and by the first bytes that
 * come back. It sends no call and no token.
 */
import type { X509Certificate } from "node:crypto";
import { lstatSync } from "node:fs";
import { connect as connectPlain, isIP } from "node:net";
import type { NetConnectOpts, Socket } from "node:net";
import { checkServerIdentity, connect as connectTls } from "node:tls";
import type { TLSSocket } from "node:tls";
import { readAddress } from "../../proto/address.js";
import { parseServerAddress } from "../../client/rpc/server-address.js";
import { limits } from "../../server/limits.js";
import { readFileWithin } from "../../server/files/read-file.js";
import type { ConnectOptions } from "./connect.js";

const TLS_FILE = { bytesMax: limits.tlsFileBytesMax, mustBeFile: true };
/** Time for each of the connections, in milliseconds. */
const TIMEOUT_MS = 1500;
/** What every HTTP/2 client sends first, and an empty SETTINGS frame. */
const HTTP2_START = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "latin1");
const HTTP2_SETTINGS = 4;

/** Why no call reaches the service, and what to do. */
export interface Obstacle {
  why: string;
  todo: string;
}

/** Which listener was called: the one for nodes, or the operator's. */
export type Listener = "service" | "operator";

/** What to do where it depends on the listener, in the imperative. */
interface Advice {
  /** Another program listens at the address, or none. */
  fix: string;
  /** The user may not open the socket. */
  openSocket: string;
  /** The address wants TLS, and was called without. */
  useTls: string;
}

const ADVICE: Readonly<Record<Listener, Advice>> = {
  service: {
    fix: "fix --server",
    openSocket: "run as a user whom serve's --socket-mode and --socket-group allow",
    useTls: "name its certificate authority with --tls-ca, or write https:// before the address",
  },
  // This listener has no TLS, and its socket is for the service's own user alone.
  operator: {
    fix: "set --server to its --admin address",
    openSocket: "run as the user of the service",
    useTls: "set --server to its --admin address",
  },
};

/** Resolves with what is in the way; undefined when a connection of HTTP/2 can be made. */
export async function findObstacle(
  options: ConnectOptions,
  listener: Listener,
): Promise<Obstacle | undefined> {
  const advice = ADVICE[listener];
  const { target, isEncrypted } = parseServerAddress(options.server);
  const at = readAddress(target.replace(/^(dns:(\/\/\/)?|ipv4:|ipv6:)/, ""));
  if (at.kind === "problem") return undefined; // several addresses: there is no one to look at
  const to: NetConnectOpts =
    at.kind === "unix" ? { path: at.path } : { host: at.host, port: at.port };
  const { tlsCa, tlsCertificate, tlsKey, tlsServerName } = options;
  const hasTlsFlag = [tlsCa, tlsCertificate, tlsKey, tlsServerName].some((flag) => flag);
  const isTls = isEncrypted ?? hasTlsFlag;
  const first = await answerOf(connectPlain(to), "connect", isTls ? undefined : HTTP2_START);
  if (first.code !== "") {
    return at.kind === "unix"
      ? socketObstacle(at.path, first.code, advice)
      : hostObstacle(first.code, advice);
  }
  if (!isTls) return first.isHttp2 ? undefined : plainObstacle(to, first, advice);
  const obstacle = await tlsObstacle(to, at.kind === "unix" ? "" : at.host, options);
  if (listener === "service" || obstacle === undefined) return obstacle;
  return { ...obstacle, todo: `${advice.fix}, without https://` };
}

const startOr = (fix: string) => `start it with 'lean-aggregator serve', or ${fix}`;

function hostObstacle(code: string, { fix }: Advice): Obstacle {
  switch (code) {
    case "ECONNREFUSED":
      return { why: "nothing listens there", todo: startOr(fix) };
    case "ENOTFOUND":
      return { why: "the name does not resolve", todo: fix };
    case "EAI_AGAIN":
      return { why: "the name cannot be resolved now", todo: `check the DNS, or ${fix}` };
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return { why: "this machine has no route to it", todo: `check the network, or ${fix}` };
    case TIMED_OUT:
    case "ETIMEDOUT":
      return { why: "it does not answer", todo: "check that it runs, and firewalls on the way" };
    default:
      return { why: `the connection fails (${code})`, todo: fix };
  }
}

function socketObstacle(path: string, code: string, advice: Advice): Obstacle {
  const { fix, openSocket } = advice;
  switch (code) {
    case "ENOENT":
      return { why: "the socket does not exist", todo: startOr(fix) };
    case "ECONNREFUSED":
    case "ENOTSOCK":
      if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === false)
        return { why: "it is not a socket", todo: fix };
      return { why: "the service that made the socket has ended", todo: startOr(fix) };
    case "EACCES":
    case "EPERM":
      return { why: "this user may not open the socket", todo: openSocket };
    default:
      return hostObstacle(code, advice);
  }
}

/** What stands at an address that takes connections and does not speak HTTP/2 in plain text. */
async function plainObstacle(
  to: NetConnectOpts,
  answer: Answer,
  { fix, useTls }: Advice,
): Promise<Obstacle> {
  if (answer.text.startsWith("HTTP/1")) {
    return { why: "a web server without HTTP/2 listens there, not the service", todo: fix };
  }
  const socket = connectTls({ ...to, rejectUnauthorized: false, ALPNProtocols: ["h2"] });
  const { isConnected, code } = await answerOf(socket, "secureConnect", undefined);
  if (isConnected || code.startsWith("ERR_SSL_")) {
    if (code !== WRONG_VERSION) return { why: "it wants TLS", todo: useTls };
  }
  if (code === TIMED_OUT) return silent(fix);
  return { why: "another program listens there, not the service", todo: fix };
}

/** A stopped or starved service looks the same as a program that waits for other bytes. */
const silent = (fix: string): Obstacle => ({
  why: "it takes the connection and does not answer",
  todo: `check that the service is not stopped or overloaded, or ${fix}`,
});

/** Code of OpenSSL when what came back is not TLS. */
const WRONG_VERSION = "ERR_SSL_WRONG_VERSION_NUMBER";

/** What keeps a client of the service from its TLS. */
async function tlsObstacle(
  to: NetConnectOpts,
  host: string,
  options: ConnectOptions,
): Promise<Obstacle | undefined> {
  const { tlsCa, tlsCertificate, tlsKey, tlsServerName } = options;
  const name = tlsServerName ?? host;
  const read = (path: string | undefined) =>
    path === undefined ? undefined : readFileWithin(path, TLS_FILE);
  const files = { ca: read(tlsCa), cert: read(tlsCertificate), key: read(tlsKey) };
  const socket = connectTls({
    ...to,
    ...files,
    servername: isIP(name) === 0 ? name : "", // an IP address is no name in TLS
    checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate),
    rejectUnauthorized: false,
    ALPNProtocols: ["h2"],
  });
  let certificate: Obstacle | undefined;
  // A closed socket no longer has the certificate.
  socket.once("secureConnect", () => {
    certificate = certificateObstacle(socket, name, tlsCa);
  });
  const { isConnected, code, isHttp2 } = await answerOf(socket, "secureConnect", HTTP2_START);
  if (!isConnected) {
    if (code === TIMED_OUT) return silent(ADVICE.service.fix);
    if (code === ALERT_VERSION) {
      return { why: "it speaks another version of TLS", todo: "use a service with TLS 1.2 or 1.3" };
    }
    return { why: "it speaks plain text, not TLS", todo: NO_TLS };
  }
  if (certificate !== undefined) return certificate;
  if (isHttp2) return undefined;
  return tlsCertificate === undefined
    ? {
        why: "it wants a client certificate",
        todo: "give --tls-certificate and --tls-key",
      }
    : {
        why: `it does not accept the certificate ${tlsCertificate}`,
        todo: "use one that has not expired, of an authority in serve's --tls-client-ca",
      };
}

const NO_TLS = "leave out the --tls flags and https://, or give serve a certificate";
const ALERT_VERSION = "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION";

/** What is wrong with the certificate that the service shows; undefined if nothing is. */
function certificateObstacle(
  socket: TLSSocket,
  name: string,
  ca: string | undefined,
): Obstacle | undefined {
  if (socket.authorized) return undefined;
  const code = String(socket.authorizationError);
  const shown = socket.getPeerX509Certificate();
  switch (code) {
    case "CERT_HAS_EXPIRED":
      return { why: `its certificate expired at ${validTo(shown)}`, todo: "renew it" };
    case "CERT_NOT_YET_VALID":
      return { why: "its certificate is not valid yet", todo: "check the clocks of both machines" };
    case "ERR_TLS_CERT_ALTNAME_INVALID": {
      const names = shown?.subjectAltName ?? shown?.subject ?? "no name";
      const todo = "use one of these names, also as --tls-server-name";
      return { why: `its certificate is not for ${name} but for ${names}`, todo };
    }
    default: {
      const whom = ca === undefined ? "Node.js does not trust" : `is not in ${ca}`;
      const todo = "name the authority's certificate with --tls-ca";
      return { why: `its certificate is of an authority that ${whom}`, todo };
    }
  }
}

function validTo(certificate: X509Certificate | undefined): string {
  return certificate === undefined ? "" : new Date(certificate.validTo).toISOString();
}

const TIMED_OUT = "timed out";

interface Answer {
  isConnected: boolean;
  /** The code of the error that ended the attempt, or `TIMED_OUT`; empty for none. */
  code: string;
  isHttp2: boolean;
  /** The first bytes that came back. */
  text: string;
}

/**
 * Resolves once bytes or the end came back, or at once when there is nothing to send.
 * @param opened the event of a connection that is made
 * @param hello what to send then; undefined: nothing
 */
function answerOf(
  socket: Socket,
  opened: "connect" | "secureConnect",
  hello: Buffer | undefined,
): Promise<Answer> {
  return new Promise((resolve) => {
    let isConnected = false;
    const end = (code: string, bytes: Buffer = Buffer.alloc(0)) => {
      clearTimeout(timer);
      socket.destroy();
      const isHttp2 = bytes.length >= 9 && bytes[3] === HTTP2_SETTINGS;
      // An error after the connection was made is the other side's answer to `hello`.
      const isFailure = !isConnected || (hello === undefined && code !== "");
      resolve({
        isConnected,
        code: isFailure ? code : "",
        isHttp2,
        text: bytes.toString("latin1"),
      });
    };
    const timer = setTimeout(() => end(TIMED_OUT), TIMEOUT_MS);
    socket.on("error", (error) => end("code" in error ? String(error.code) : error.message));
    socket.once("data", (bytes: Buffer) => end("", bytes));
    socket.once("close", () => end(isConnected ? "" : "closed"));
    socket.once(opened, () => {
      isConnected = true;
      if (hello === undefined) end("");
      else socket.write(hello);
    });
  });
}
