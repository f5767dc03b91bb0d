/**
 * Bearer tokens: 256 random bits, of which the policy file keeps the SHA-256 alone. A slow hash
 * would protect what people choose; nobody guesses 256 bits, so a fast one gives nothing away and
 * costs no call anything.
 */
import { createHash, timingSafeEqual } from "node:crypto";

/** Lets a person, and a scanner for leaked secrets, see what it is. */
const PREFIX = "lagg_";

export const TOKEN_BYTES = 32;

/** @param random of `TOKEN_BYTES` bytes, from a source fit for secrets */
export function tokenOf(random: Buffer): string {
  if (random.length !== TOKEN_BYTES) throw new Error(`a token has ${TOKEN_BYTES} random bytes`);
  return `${PREFIX}${random.toString("base64url")}`;
}

/** What a policy keeps of a token, and its file as hexadecimal digits. */
export function tokenHash(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

/** In a time that tells nothing of how far one of them is guessed. */
export function isSameHash(a: Buffer, b: Buffer): boolean {
  return timingSafeEqual(a, b);
}
