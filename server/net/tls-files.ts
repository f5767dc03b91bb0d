/**
 * Reads and checks the files that TLS needs. An error names the setting, the file, and what to do.
 */
import { createHash } from "node:crypto";
import { ConfigError } from "../config/config-error.js";
import type { Problem } from "../config/config-error.js";
import { fileReason } from "../files/file-reason.js";
import { limits } from "../limits.js";
import {
  certificatesIn,
  checkTime,
  expiryOf,
  isInTime,
  PemProblem,
  privateKeyIn,
  usable,
} from "../files/pem.js";
import { readFileWithin } from "../files/read-file.js";

const SETTINGS = ["tlsCertificate", "tlsKey", "tlsClientCa"] as const;
type Setting = (typeof SETTINGS)[number];

/** Paths of the files; undefined for a file that is not used. */
export type TlsSettings = Readonly<Partial<Record<Setting, string | undefined>>>;

/** Certificate, key and client authorities of a TLS server, in PEM, and when they expire. */
export interface TlsIdentity {
  cert: Buffer;
  key: Buffer;
  /** Authorities of client certificates. Undefined: clients need no certificate. */
  ca: Buffer | undefined;
  /** Unix time in milliseconds; `clientCa` is that of the authority that expires next. */
  expiresAtMs: { certificate: number; clientCa: number | undefined };
}

/** What one reading of the files found. */
export interface TlsFiles {
  /** Hash of all contents; for a file that cannot be read, of the error. */
  digest: string;
  files: ReadonlyMap<Setting, TlsFile>;
}

interface TlsFile {
  path: string;
  /** The content; text is the reason why the file cannot be read, such as "it is a folder". */
  content: Buffer | string;
}

/** Reads all files. Never rejects: `checkTlsFiles` reports a file that cannot be read. */
export async function readTlsFiles(settings: TlsSettings): Promise<TlsFiles> {
  const files = new Map<Setting, TlsFile>();
  const hash = createHash("sha256");
  for (const setting of SETTINGS) {
    const path = settings[setting];
    if (path === undefined) continue;
    const content = await readContent(path);
    files.set(setting, { path, content });
    hash.update(`${setting} ${content.length} `).update(content);
  }
  return { digest: hash.digest("hex"), files };
}

function readContent(path: string): Promise<Buffer | string> {
  return new Promise((resolve) => {
    try {
      resolve(readFileWithin(path, { bytesMax: limits.tlsFileBytesMax, mustBeFile: true }));
    } catch (error) {
      resolve(fileReason(error, path));
    }
  });
}

/** Checks the files and that they fit each other. Throws `ConfigError` with every problem. */
export function checkTlsFiles({ files }: TlsFiles, nowUnixMs: number): TlsIdentity {
  const problems: Problem[] = [];
  /** What `check` returns. A `PemProblem` that it throws becomes a problem; then undefined. */
  const attempt = <T>(setting: Setting, check: (content: Buffer) => T): T | undefined => {
    const file = files.get(setting);
    if (file === undefined) return undefined;
    try {
      if (typeof file.content !== "string") return check(file.content);
      throw new PemProblem(`cannot be read: ${file.content}; name a readable file`);
    } catch (error) {
      if (!(error instanceof PemProblem)) throw error;
      problems.push({ key: setting, text: `${file.path} ${error.message}` });
      return undefined;
    }
  };
  const cert = attempt("tlsCertificate", (content) => {
    const [leaf] = certificatesIn(content);
    checkTime(leaf, nowUnixMs);
    return { content, leaf };
  });
  const key = attempt("tlsKey", (content) => {
    const privateKey = privateKeyIn(content);
    if (cert !== undefined && !cert.leaf.checkPrivateKey(privateKey)) {
      throw new PemProblem("is not the key of the certificate in {tlsCertificate}: name a pair");
    }
    return content;
  });
  const clientCa = attempt("tlsClientCa", (content) => {
    const authorities = certificatesIn(content);
    if (authorities.some(({ ca }) => !ca))
      throw new PemProblem("has a certificate that is not an authority's: name the authority's");
    // While authorities change, the file has both. One that has expired lets nobody in, and hinders no other.
    const inTime = authorities.filter((each) => isInTime(each, nowUnixMs));
    if (inTime.length === 0) checkTime(authorities[0], nowUnixMs);
    return { content, expiresAtMs: Math.min(...inTime.map(expiryOf)) };
  });
  if (cert !== undefined && key !== undefined) {
    attempt("tlsCertificate", () => usable(cert.content, key));
    if (problems.length === 0) {
      const expiresAtMs = {
        certificate: expiryOf(cert.leaf),
        clientCa: clientCa?.expiresAtMs,
      };
      return { cert: cert.content, key, ca: clientCa?.content, expiresAtMs };
    }
  }
  throw new ConfigError(problems);
}
