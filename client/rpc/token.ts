/** Puts a bearer token into a call's metadata. No error message has the token's value. */
import { Metadata } from "@grpc/grpc-js";
import { AggregatorError } from "../errors.js";

/** The token, or a function that returns the current one; the client calls it before each call. */
export type TokenSource = string | (() => string);

/** True for printable ASCII without spaces, which a header can carry; false for an empty text. */
export function isToken(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text);
}

/**
 * Makes the metadata of one call; empty if `token` is undefined. Throws `AggregatorError` of kind
 * `unauthorized` when the token is invalid or its function throws.
 */
export function metadataWith(token: TokenSource | undefined): Metadata {
  const metadata = new Metadata();
  if (token === undefined) return metadata;
  const value = read(token);
  // grpc-js would refuse the value too, but its error would show the token.
  if (!isToken(value)) {
    throw new AggregatorError(
      "unauthorized",
      "invalid token: it is empty or has characters other than printable ASCII",
    );
  }
  metadata.set("authorization", `Bearer ${value}`);
  return metadata;
}

function read(token: TokenSource): string {
  if (typeof token === "string") return token;
  try {
    return token();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AggregatorError("unauthorized", `the token is missing: ${why}`, { cause });
  }
}
