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

/** As the policy file has it: lower-case hexadecimal digits. */
export function tokenHash(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** In a time that tells nothing of how far one of them is guessed. */
export function isSameHash(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(a, "hex"), Buffer.from(b, "hex"));
}
