/** `doctor`'s check of a listener: can its address be bound, and if not, who answers there? */
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { connect as connectTls } from "node:tls";
import { callAdmin } from "../../client/rpc/operator-client.js";
import { AggregatorClient } from "../../client/rpc/aggregator-client.js";
import { AggregatorError } from "../../client/errors.js";
import { AggregatorService } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { bindAddressOf } from "../../server/net/listen-address.js";
import type { Finding } from "./finding.js";
import { fail, ok, warn } from "./finding.js";

const ASK_TIMEOUT_MS = 1000;
const GUARDED = "a service with a policy";

/** How a service of ours says who it is; undefined when whatever answers there is not ours. */
const WHO = {
  grpc: whoOverGrpc,
  http: whoOverHttp,
  admin: whoOverAdmin,
} as const;

/** @param tlsCertificate the file of the certificate that is shown there; default: plain text */
export async function checkAddress(
  address: string,
  kind: keyof typeof WHO,
  tlsCertificate?: string,
): Promise<Finding> {
  const code = await bindError(address);
  if (code === undefined) return ok(`${address} can be bound`);
  if (code !== "EADDRINUSE") return fail(`${address} cannot be bound (${code}): ${todoFor(code)}`);
  const who = await (tlsCertificate === undefined
    ? WHO[kind](address)
    : whoOverTls(address, tlsCertificate));
  if (who !== undefined) return warn(`${who} answers on ${address}: stop it to start another`);
  if (address.startsWith("unix:")) {
    return warn(`${address} exists: 'serve' replaces it unless another program answers there`);
  }
  return fail(`another program listens on ${address}: stop it, or choose another address`);
}

function todoFor(code: string): string {
  switch (code) {
    case "EACCES":
    case "ENOENT":
      return "take a port above 1023, or a folder that is there and may be written to";
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return "no interface of this machine has that address";
    default:
      return "choose another address";
  }
}

/** The error's code, or undefined when the address could be bound. */
async function bindError(address: string): Promise<string | undefined> {
  const server = createServer();
  server.listen(bindAddressOf(address));
  try {
    await once(server, "listening");
    server.close();
    await once(server, "close");
    return undefined;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}

async function whoOverGrpc(address: string): Promise<string | undefined> {
  const client = new AggregatorClient({ address });
  try {
    const { serverVersion } = await client.getServerInfo({}, { timeoutMs: ASK_TIMEOUT_MS });
    return `lean-aggregator ${serverVersion}`;
  } catch (error) {
    return whoRefuses(error);
  } finally {
    client.close();
  }
}

async function whoOverHttp(address: string): Promise<string | undefined> {
  try {
    const url = `http://${address}/${AggregatorService.typeName}/GetServerInfo`;
    const answer = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
      signal: AbortSignal.timeout(ASK_TIMEOUT_MS),
    });
    if ([401, 403].includes(answer.status)) return GUARDED;
    const info = (await answer.json()) as { serverVersion?: unknown };
    const { serverVersion: version } = info;
    return typeof version === "string" ? `lean-aggregator ${version}` : undefined;
  } catch {
    return undefined; // whatever answers there is not ours
  }
}

async function whoOverAdmin(address: string): Promise<string | undefined> {
  try {
    await callAdmin(address, "listProvers", {}, { timeoutMs: ASK_TIMEOUT_MS });
    return "lean-aggregator's admin listener";
  } catch (error) {
    return whoRefuses(error);
  }
}

/** By its certificate; it is not called, for that might need a certificate of ours. */
async function whoOverTls(address: string, certificatePath: string): Promise<string | undefined> {
  // Nothing is sent, so there is nobody to be sure of.
  const socket = connectTls({ ...bindAddressOf(address), rejectUnauthorized: false });
  try {
    await once(socket, "secureConnect", { signal: AbortSignal.timeout(ASK_TIMEOUT_MS) });
    const shown = socket.getPeerX509Certificate()?.fingerprint256;
    return shown === (await fingerprintOf(certificatePath))
      ? "a service with the same certificate"
      : "something over TLS";
  } catch {
    return undefined; // whatever answers there speaks no TLS
  } finally {
    socket.destroy();
  }
}

/** Undefined when the file is no certificate: that is another check's finding. */
async function fingerprintOf(path: string): Promise<string | undefined> {
  try {
    return new X509Certificate(await readFile(path)).fingerprint256;
  } catch {
    return undefined;
  }
}

/** One that knows the call and wants to know the caller; whatever else answers is not ours. */
function whoRefuses(error: unknown): string | undefined {
  return AggregatorError.from(error).kind === "unauthorized" ? GUARDED : undefined;
}
