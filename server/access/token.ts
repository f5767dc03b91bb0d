/**
 * Bearer tokens: 256 random bits, of which the policy file has only the SHA-256. A slow hash would
 * protect guessable passwords; 256 random bits cannot be guessed, so a fast hash is safe and adds
 * no cost to calls.
 */
import { createHash, timingSafeEqual } from "node:crypto";

/** Marks a token for people and for scanners that look for leaked secrets. */
const PREFIX = "lagg_";

export const TOKEN_BYTES = 32;

/**
 * A new token.
 * @param random `TOKEN_BYTES` bytes of a cryptographic random source; throws on another length
 */
export function tokenOf(random: Buffer): string {
  if (random.length !== TOKEN_BYTES) throw new Error(`a token has ${TOKEN_BYTES} random bytes`);
  return `${PREFIX}${random.toString("base64url")}`;
}

/** The hash of a token, which the policy file has in hexadecimal digits. */
export function tokenHash(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

/** Whether two hashes are equal, in a time that does not depend on where they differ. */
export function isSameHash(a: Buffer, b: Buffer): boolean {
  return timingSafeEqual(a, b);
}
