/** Addresses of listeners: `host:port`, with brackets around an IPv6 host, or `unix:/path`. */

export const ADDRESS_PATTERN = /^(unix:\/.+|([^\s:[\]]+|\[[0-9a-f:]+\]):\d{1,5})$/;

/** An address in the form that `server.listen` of `node:net` takes. */
export type BindAddress = { path: string } | { host: string; port: number };

export function bindAddressOf(address: string): BindAddress {
  if (address.startsWith("unix:")) return { path: address.slice("unix:".length) };
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[|\]$/g, "");
  return { host, port: Number(address.slice(colon + 1)) };
}

/** True for a TCP address that only this machine can reach. */
function isLoopback(address: string): boolean {
  return /^(127\.\d+\.\d+\.\d+|localhost|\[::1\]):/.test(address);
}

/** True for an address that only this machine can reach: loopback or a Unix socket. */
export function isLocal(address: string): boolean {
  return address.startsWith("unix:") || isLoopback(address);
}
