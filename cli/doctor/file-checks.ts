/** `doctor`'s checks of the files that settings name: certificates and policy. */
import { PolicyError } from "../../server/access/policy-file.js";
import { loadPolicy } from "../../server/access/policy-watch.js";
import { ConfigError } from "../../server/config-error.js";
import { checkTlsFiles, readTlsFiles } from "../../server/net/tls-files.js";
import type { TlsSettings } from "../../server/net/tls-files.js";
import type { Finding } from "./finding.js";
import { fail, ok, warn } from "./finding.js";

/** A certificate that expires this soon, in milliseconds, was not renewed automatically. */
const SOON_MS = 7 * 86_400_000;

export async function checkTls(settings: TlsSettings, nowUnixMs: number): Promise<Finding> {
  try {
    const { expiresAtMs } = checkTlsFiles(await readTlsFiles(settings), nowUnixMs);
    const firstMs = Math.min(expiresAtMs.certificate, expiresAtMs.clientCa ?? Infinity);
    const text = `certificates are valid until ${new Date(firstMs).toISOString()}`;
    return firstMs - nowUnixMs < SOON_MS ? warn(`${text}: renew them`) : ok(text);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return fail(error.message.replaceAll("\n", "; "));
  }
}

export function checkPolicy(path: string): Finding {
  try {
    const { principals } = loadPolicy(path).policy;
    return ok(`${path} is valid: ${principals.length} principals`);
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    return fail(`${path} is invalid: ${error.message.replaceAll("\n", "; ")}`);
  }
}
