/** A bearer token as the client sends it: over TLS or within this machine, and never in an error. */
import { Metadata } from "@grpc/grpc-js";
import { AggregatorError } from "../errors.js";

/** The token itself, or what gives the one of the moment: asked before each call. */
export type TokenSource = string | (() => string);

/** What a header carries, and no line end that a file may have brought along. */
const TOKEN = /^[\x21-\x7e]+$/;

const LOCAL = /^(unix:|(dns:)?(127\.\d+\.\d+\.\d+|localhost|\[::1\]):)/;

/** Metadata of one call. Throws `AggregatorError` of kind `unauthorized` when there is no token. */
export function metadataWith(token: TokenSource | undefined): Metadata {
  const metadata = new Metadata();
  if (token === undefined) return metadata;
  const value = read(token);
  // grpc-js would refuse it too, and quote it.
  if (!TOKEN.test(value)) {
    throw new AggregatorError("unauthorized", "the token is empty, or has characters of no token");
  }
  metadata.set("authorization", `Bearer ${value}`);
  return metadata;
}

/** Whoever is on the way would read it, and call in its owner's name. Throws `TypeError`. */
export function checkTokenIsSafe(address: string, isEncrypted: boolean): void {
  if (isEncrypted || LOCAL.test(address)) return;
  throw new TypeError(`a token is sent over TLS or within this machine only, not to ${address}`);
}

function read(token: TokenSource): string {
  if (typeof token === "string") return token;
  try {
    return token();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AggregatorError("unauthorized", `there is no token: ${why}`, { cause });
  }
}
