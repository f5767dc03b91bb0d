/**
 * The id that names the service over all its runs: an adapter takes a request for lost only when the
 * same service says that it does not know it. The id is kept in the state folder, in one file for
 * each set of listen addresses, so two services of one user have different ids.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Config } from "../../server/config/config.js";
import { codeOf, fileReason } from "../../server/files/file-reason.js";
import { idPattern } from "../../server/id.js";
import { limits } from "../../server/limits.js";
import type { Logger } from "../../server/log/log.js";
import { readFileWithin } from "../../server/files/read-file.js";
import { createFile, replaceFile } from "../../server/files/write-file.js";
import { STATE_ADVICE } from "./folders.js";

export interface ServiceIdModules {
  log: Logger;
  /** Returns the state folder, which exists; undefined, after a warning, when none can be used. */
  stateFolder(): string | undefined;
  /** Makes an id. */
  random(): string;
}

/**
 * The configured id, else the kept one, else a new one that is kept. Without a usable state folder,
 * and for an address whose port the system chooses, the id is new with each run.
 */
export async function serviceIdOf(
  { serviceId, listen }: Pick<Config, "serviceId" | "listen">,
  { log, stateFolder, random }: ServiceIdModules,
): Promise<string> {
  if (serviceId !== undefined) return serviceId;
  if (listen.some((address) => address.endsWith(":0"))) return random();
  const folder = stateFolder();
  if (folder === undefined) return random();
  const path = serviceIdPath(folder, listen);
  try {
    return await keptId(path, random);
  } catch (error) {
    const todo = `${STATE_ADVICE}, or set --service-id`;
    const line = { path, cause: fileReason(error, path), todo };
    log.warn(line, "the service id is new with each run");
    return random();
  }
}

export function serviceIdPath(folder: string, listen: readonly string[]): string {
  const addresses = [...listen].sort().join("\n");
  const digest = createHash("sha256").update(addresses).digest("hex").slice(0, 12);
  return join(folder, `lean-aggregator-${digest}.service-id`);
}

/** Reads the id from the file. Writes a new one when the file is missing or has no id. */
async function keptId(path: string, random: () => string): Promise<string> {
  const found = readId(path);
  if (found.kind === "id") return found.id;
  const id = random();
  const write = found.kind === "missing" ? createFile : replaceFile;
  await write(path, `${id}\n`, { mode: 0o600 });
  return id;
}

function readId(path: string): { kind: "id"; id: string } | { kind: "missing" | "invalid" } {
  try {
    const bytes = readFileWithin(path, { bytesMax: limits.idLengthMax + 1, mustBeFile: true });
    const id = bytes.toString().trimEnd();
    return idPattern.test(id) ? { kind: "id", id } : { kind: "invalid" };
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT") return { kind: "missing" };
    if (code === undefined) return { kind: "invalid" }; // larger than an id, or no regular file
    throw error;
  }
}
