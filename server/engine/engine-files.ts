/** Checks the certificates that the settings of the engine name, before the engine reads them. */
import type { Problem } from "../config/config-error.js";
import { fileReason } from "../files/file-reason.js";
import { limits } from "../limits.js";
import {
  certificatesIn,
  checkTime,
  expiryOf,
  PemProblem,
  privateKeyIn,
  usable,
} from "../files/pem.js";
import { readFileWithin } from "../files/read-file.js";
import type { EngineSettings } from "./engine-settings.js";

type Setting = "engineCa" | "engineCertificate" | "engineKey";

/** What a reading of the files found. */
export interface EngineFiles {
  readonly problems: readonly Problem[];
  /** Unix time in milliseconds at which the first certificate expires; undefined without one. */
  readonly expiresAtMs: number | undefined;
}

/**
 * Reads the files and checks that they fit each other.
 * @param nowUnixMs to check dates too; undefined at the start of a service, which works without its
 *   engine until certificates are renewed
 */
export function checkEngineFiles(settings: EngineSettings, nowUnixMs?: number): EngineFiles {
  const problems: Problem[] = [];
  const expiries: number[] = [];
  /** What `check` returns; undefined for a file that is not named, or a problem. */
  const attempt = <T>(key: Setting, check: (content: Buffer) => T): T | undefined => {
    const path = settings[key];
    if (path === undefined) return undefined;
    try {
      return check(readPem(path));
    } catch (error) {
      if (!(error instanceof PemProblem)) throw error;
      problems.push({ key, text: `${path} ${error.message}` });
      return undefined;
    }
  };
  const certificates = (content: Buffer) => {
    const found = certificatesIn(content);
    expiries.push(...found.map(expiryOf));
    if (nowUnixMs !== undefined) for (const each of found) checkTime(each, nowUnixMs);
    return found;
  };
  attempt("engineCa", certificates);
  const own = attempt("engineCertificate", (content) => {
    const [leaf] = certificates(content);
    return { content, leaf };
  });
  const key = attempt("engineKey", (content) => {
    if (own?.leaf.checkPrivateKey(privateKeyIn(content)) === false) {
      throw new PemProblem("is not the key of the certificate in {engineCertificate}: name a pair");
    }
    return content;
  });
  if (own !== undefined && key !== undefined) {
    attempt("engineCertificate", () => usable(own.content, key));
  }
  return { problems, expiresAtMs: expiries.length === 0 ? undefined : Math.min(...expiries) };
}

function readPem(path: string): Buffer {
  try {
    return readFileWithin(path, { bytesMax: limits.tlsFileBytesMax, mustBeFile: true });
  } catch (error) {
    throw new PemProblem(`cannot be read: ${fileReason(error, path)}; name a readable file`);
  }
}
