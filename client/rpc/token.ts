/** A bearer token as the client sends it. The token's value is in no error. */
import { Metadata } from "@grpc/grpc-js";
import { AggregatorError } from "../errors.js";

/** The token, or a function that returns the current one; the client calls it before each call. */
export type TokenSource = string | (() => string);

/** What a header can carry. A line end from a file is not in it. */
const TOKEN = /^[\x21-\x7e]+$/;

/** Metadata of one call. Throws `AggregatorError` of kind `unauthorized` without a valid token. */
export function metadataWith(token: TokenSource | undefined): Metadata {
  const metadata = new Metadata();
  if (token === undefined) return metadata;
  const value = read(token);
  // grpc-js would refuse the value too, and quote it.
  if (!TOKEN.test(value)) {
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
