/**
 * Bearer tokens: 256 random bits, of which the policy file has only the SHA-256. Nobody can guess
 * them, so a fast hash is safe; a slow hash, as for passwords, would add its time to each call.
 */
import { createHash, timingSafeEqual } from "node:crypto";

/** Shows people, and scanners that look for leaked secrets, that a text is a token. */
const PREFIX = "lagg_";

/** Random bytes in a token. */
export const TOKEN_BYTES = 32;

/**
 * A new token.
 * @param random `TOKEN_BYTES` bytes of a cryptographic random source; throws on another length
 */
export function tokenOf(random: Buffer): string {
  if (random.length !== TOKEN_BYTES) throw new Error(`a token has ${TOKEN_BYTES} random bytes`);
  return `${PREFIX}${random.toString("base64url")}`;
}

/** The SHA-256 of a token; the policy file has it in hexadecimal digits. */
export function tokenHash(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

/** Whether two hashes are equal; takes the same time wherever they differ. */
export function isSameHash(a: Buffer, b: Buffer): boolean {
  return timingSafeEqual(a, b);
}
