/** Addresses of listeners, as the settings have them: valid by `readAddress`. */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { posix } from "node:path";
import { canonicalHost, isEveryHost, isLocalAddress, readAddress } from "../../proto/address.js";
import type { Address } from "../../proto/address.js";

/** An address in the form that `server.listen` of `node:net` takes. */
export type BindAddress = { path: string } | { host: string; port: number };

/** Reads an address of the settings. Throws `Error` for a text that is no address. */
export function addressOf(text: string): Address {
  const address = readAddress(text);
  if (address.kind === "problem") throw new Error(`invalid address ${text}: ${address.text}`);
  return address;
}

export function bindAddressOf(text: string): BindAddress {
  const address = addressOf(text);
  return address.kind === "unix"
    ? { path: address.path }
    : { host: address.host, port: address.port };
}

/**
 * The IP addresses of a host, the host itself for one. `localhost` may have two, of IPv4 and of
 * IPv6. Rejects when the name does not resolve.
 */
export async function ipAddressesOf(host: string): Promise<string[]> {
  if (isIP(host.replace(/%.*/, "")) !== 0) return [host];
  const found = await lookup(host, { all: true, verbatim: true });
  return [...new Set(found.map(({ address }) => address))];
}

/** True for an address that only this machine can reach: loopback or a Unix socket. */
export function isLocal(text: string): boolean {
  return isLocalAddress(addressOf(text));
}

/** Whether the service cannot listen on both, as one takes what the other needs. */
export function overlap(one: string, other: string): boolean {
  const [a, b] = [addressOf(one), addressOf(other)];
  if (a.kind === "unix" || b.kind === "unix") {
    return (
      a.kind === "unix" && b.kind === "unix" && posix.normalize(a.path) === posix.normalize(b.path)
    );
  }
  if (a.port !== b.port || a.port === 0) return false;
  const hosts = [a.host, b.host];
  if (hosts.some(isEveryHost)) return true;
  const [first = "", second = ""] = hosts.map(canonicalHost);
  const isLocalhost = (host: string) => host === "127.0.0.1" || host === "::1";
  return (
    first === second ||
    (first === "localhost" && isLocalhost(second)) ||
    (second === "localhost" && isLocalhost(first))
  );
}
