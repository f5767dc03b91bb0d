/** Addresses of listeners, as they are configured and as `node:net` takes them. */

export type BindAddress = { path: string } | { host: string; port: number };

/** @param address `host:port`, with brackets around a host of version 6, or `unix:/path` */
export function bindAddressOf(address: string): BindAddress {
  if (address.startsWith("unix:")) return { path: address.slice("unix:".length) };
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[|\]$/g, "");
  return { host, port: Number(address.slice(colon + 1)) };
}
