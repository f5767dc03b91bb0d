/** `doctor`'s check of the certificate files. */
import { ConfigError } from "../../server/config.js";
import { checkTlsFiles, readTlsFiles } from "../../server/net/tls-files.js";
import type { TlsSettings } from "../../server/net/tls-files.js";
import type { Finding } from "./finding.js";
import { fail, ok, warn } from "./finding.js";

/** Whoever renews certificates by themselves does so well before. */
const SOON_MS = 7 * 86_400_000;

export async function checkTls(settings: TlsSettings, nowUnixMs: number): Promise<Finding> {
  try {
    const { expiresAtMs } = checkTlsFiles(await readTlsFiles(settings), nowUnixMs);
    const firstMs = Math.min(expiresAtMs.certificate, expiresAtMs.clientCa ?? Infinity);
    const text = `certificates are good until ${new Date(firstMs).toISOString()}`;
    return firstMs - nowUnixMs < SOON_MS ? warn(`${text}: renew them`) : ok(text);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return fail(error.problems.map(({ key, text }) => `${key} ${text}`).join("; "));
  }
}
