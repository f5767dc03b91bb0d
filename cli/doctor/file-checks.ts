/** `doctor`'s checks of the files that settings name: certificates, policy and audit record. */
import { accessSync, constants, statSync } from "node:fs";
import { dirname } from "node:path";
import { PolicyError } from "../../server/access/policy-file.js";
import { loadPolicy } from "../../server/access/policy-watch.js";
import { ConfigError } from "../../server/config/config-error.js";
import { fileReason } from "../../server/files/file-reason.js";
import { checkTlsFiles, readTlsFiles } from "../../server/net/tls-files.js";
import type { TlsSettings } from "../../server/net/tls-files.js";
import { socketsNotServed } from "../policy.js";
import { AUDIT_ADVICE } from "../run/open-audit.js";
import type { Finding } from "./finding.js";
import { fail, ok, warn } from "./finding.js";

/** A certificate that expires this soon, in milliseconds, was not renewed automatically. */
export const SOON_MS = 7 * 86_400_000;

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

/** @param addresses where the service would listen: a policy may name other sockets by mistake */
export function checkPolicy(
  path: string,
  addresses: { listen: readonly string[]; admin: string },
): Finding {
  try {
    const { policy } = loadPolicy(path);
    const missing = socketsNotServed(policy, addresses);
    const text = `${path} is valid: ${policy.principals.length} principals`;
    if (missing.length === 0) return ok(text);
    const sockets = missing.join(", ");
    return warn(`${text}; it names ${sockets}, where 'serve' does not listen: add to --listen`);
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    return fail(`${path} is invalid: ${error.message.replaceAll("\n", "; ")}`);
  }
}

/** Fails if the service could not append there, as it would not start. Looks only: makes no file. */
export function checkAudit(path: string): Finding {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found?.isDirectory() === true) return fail(`${path}: it is a folder: ${AUDIT_ADVICE}`);
    if (found !== undefined) accessSync(path, constants.W_OK);
    // With the dot, a file in the folder's place is reported as that.
    else accessSync(`${dirname(path)}/.`, constants.W_OK | constants.X_OK);
    return ok(`${path}: one line for each session, skip and act of an operator`);
  } catch (error) {
    return fail(`${path}: ${fileReason(error, path)}: ${AUDIT_ADVICE}`);
  }
}
