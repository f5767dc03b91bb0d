/** `doctor`'s check of a listener: can its address be bound, and if not, who answers there? */
import { once } from "node:events";
import { createServer } from "node:net";
import { AggregatorClient } from "../../client/aggregator-client.js";
import { AggregatorService } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Finding } from "./finding.js";
import { fail, ok, warn } from "./finding.js";

const ASK_TIMEOUT_MS = 1000;

/** @param kind says how a service of ours is asked who it is. */
export async function checkAddress(address: string, kind: "grpc" | "http"): Promise<Finding> {
  const code = await bindError(address);
  if (code === undefined) return ok(`${address} can be bound`);
  if (code !== "EADDRINUSE") return fail(`${address} cannot be bound (${code}): ${todoFor(code)}`);
  const version = await (kind === "grpc" ? versionOverGrpc(address) : versionOverHttp(address));
  if (version !== undefined) {
    return warn(`lean-aggregator ${version} answers on ${address}: stop it to start another`);
  }
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
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[|\]$/g, "");
  server.listen(
    address.startsWith("unix:")
      ? { path: address.slice("unix:".length) }
      : { host, port: Number(address.slice(colon + 1)) },
  );
  try {
    await once(server, "listening");
    server.close();
    await once(server, "close");
    return undefined;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}

async function versionOverGrpc(address: string): Promise<string | undefined> {
  const client = new AggregatorClient({ address });
  try {
    return (await client.getServerInfo({}, { timeoutMs: ASK_TIMEOUT_MS })).serverVersion;
  } catch {
    return undefined; // whatever answers there is not ours
  } finally {
    client.close();
  }
}

async function versionOverHttp(address: string): Promise<string | undefined> {
  try {
    const url = `http://${address}/${AggregatorService.typeName}/GetServerInfo`;
    const answer = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
      signal: AbortSignal.timeout(ASK_TIMEOUT_MS),
    });
    const info = (await answer.json()) as { serverVersion?: unknown };
    return typeof info.serverVersion === "string" ? info.serverVersion : undefined;
  } catch {
    return undefined; // whatever answers there is not ours
  }
}
