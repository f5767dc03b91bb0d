/** `doctor`'s check of an address: can the service listen there, and if not, what listens? */
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { lstatSync } from "node:fs";
import { createServer } from "node:net";
import { connect as connectTls } from "node:tls";
import { callAdmin } from "../../client/rpc/operator-client.js";
import { AggregatorClient } from "../../client/rpc/aggregator-client.js";
import { AggregatorError } from "../../client/errors.js";
import { bindAddressOf } from "../../server/net/address.js";
import { bind, ListenError } from "../../server/net/bind.js";
import { isStaleSocket } from "../../server/net/unix-socket.js";
import { limits } from "../../server/limits.js";
import { readFileWithin } from "../../server/files/read-file.js";
import { probePage } from "./probe-page.js";
import { holderOf } from "../run/port-holder.js";
import type { Finding } from "./finding.js";
import { fail, ok, warn } from "./finding.js";

const ASK_TIMEOUT_MS = 1000;
const GUARDED = "a service with a policy";

/**
 * For each kind of listener, how to find out which lean-aggregator listens at an address. Each
 * function resolves with a description, or with undefined for another program.
 */
const WHO = {
  nodes: whoOverGrpc,
  operator: whoOverAdmin,
  probes: whoAtProbes,
} as const;

/**
 * Checks whether `serve` can listen at the address.
 * @param tlsCertificate file of the certificate that `serve` would use there; undefined: plain text
 */
export async function checkAddress(
  address: string,
  kind: keyof typeof WHO,
  tlsCertificate?: string,
): Promise<Finding> {
  const found = await find(address);
  if (found !== true) return found;
  const who = await (tlsCertificate === undefined
    ? WHO[kind](address)
    : whoOverTls(address, tlsCertificate));
  const holder = holderOf(address);
  if (who !== undefined || holder?.includes("(lean-aggregator)")) {
    const by = holder === undefined ? "" : ` as ${holder}`;
    return warn(`${who ?? "a service"} runs on ${address}${by}: stop it to start another one`);
  }
  const program = holder ?? "another program";
  return fail(`${program} listens on ${address}: stop it, or choose another address`);
}

/** What to report of an address on which nothing listens; true when something does. */
async function find(address: string): Promise<Finding | true> {
  const at = bindAddressOf(address);
  if ("path" in at && lstatSync(at.path, { throwIfNoEntry: false })?.isSocket()) {
    if (!(await isStaleSocket(at.path))) return true;
    return ok(`${address} is free: 'serve' replaces the socket that a dead service left there`);
  }
  try {
    const { servers } = await bind(address, () => createServer());
    await Promise.all(
      servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
    );
    return ok(`${address} is free`);
  } catch (error) {
    if (!(error instanceof ListenError)) throw error;
    return error.isTaken ? true : fail(error.message);
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

async function whoAtProbes(address: string): Promise<string | undefined> {
  try {
    const { text } = await probePage(address, "/");
    return text.startsWith("lean-aggregator") ? "lean-aggregator's listener for probes" : undefined;
  } catch {
    return undefined; // another program
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

/**
 * Compares the certificate shown with the one in the file. Makes no call, as a call could need a
 * client certificate. Undefined for a program without TLS.
 */
async function whoOverTls(address: string, certificatePath: string): Promise<string | undefined> {
  // No data is sent, so the peer's certificate need not be trusted.
  const socket = connectTls({ ...bindAddressOf(address), rejectUnauthorized: false });
  try {
    await once(socket, "secureConnect", { signal: AbortSignal.timeout(ASK_TIMEOUT_MS) });
    const shown = socket.getPeerX509Certificate()?.fingerprint256;
    return shown === fingerprintOf(certificatePath)
      ? "a service with the same certificate"
      : "a TLS service with another certificate";
  } catch {
    return undefined; // a program without TLS
  } finally {
    socket.destroy();
  }
}

/** Undefined if the file is not a certificate: another check reports that. */
function fingerprintOf(path: string): string | undefined {
  try {
    const file = readFileWithin(path, { bytesMax: limits.tlsFileBytesMax, mustBeFile: true });
    return new X509Certificate(file).fingerprint256;
  } catch {
    return undefined;
  }
}

/** Describes a lean-aggregator whose policy denies the call; undefined for other errors. */
function whoRefuses(error: unknown): string | undefined {
  return AggregatorError.from(error).kind === "unauthorized" ? GUARDED : undefined;
}
