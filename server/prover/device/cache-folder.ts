/**
 * The folder in which a device's library may keep files. A library may run what it finds there, so
 * nobody but the prover's user may write to it.
 */
import {
  accessSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  lstatSync,
  mkdirSync,
  openSync,
} from "node:fs";
import type { Stats } from "node:fs";
import { dirname } from "node:path";
import { fileReason } from "../../files/file-reason.js";

/** Folders that the service makes are for the prover's user alone. */
const MODE = 0o700;
/** The permission bits by which the group and others may write. */
const OTHERS_WRITE = 0o022;

export interface CacheOwner {
  uid: number;
  gid: number;
}

/**
 * Makes the folder where it is missing; the folder above it must exist. Throws an `Error` that says
 * why the path cannot be used, and what to do.
 *
 * @param owner user of the provers; undefined: the service's own
 */
export function openCacheFolder(path: string, owner: CacheOwner | undefined): void {
  try {
    const found = lstatSync(path, { throwIfNoEntry: false });
    const problem = found === undefined ? undefined : problemOf(path, found, owner);
    if (problem !== undefined) throw new Error(problem);
    if (found !== undefined) return;
    mkdirSync(path, MODE);
    own(path, owner);
  } catch (cause) {
    const why = fileReason(cause, path);
    throw new Error(`cannot use the cache folder ${path}: ${why}`, { cause });
  }
}

/**
 * Why `openCacheFolder` would refuse the path, and what to do; undefined if it would not, as far as
 * it shows without making a folder.
 */
export function cacheFolderProblem(
  path: string,
  owner: CacheOwner | undefined,
): string | undefined {
  try {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found !== undefined) return problemOf(path, found, owner);
    accessSync(dirname(path), constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    return fileReason(error, path);
  }
}

/** By a descriptor: a process of the prover's user may put a link in the place of the new folder. */
function own(path: string, owner: CacheOwner | undefined): void {
  const folder = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    fchmodSync(folder, MODE);
    if (owner !== undefined) fchownSync(folder, owner.uid, owner.gid);
  } finally {
    closeSync(folder);
  }
}

/** What is wrong with the file or folder at the path, and what to do. */
function problemOf(path: string, found: Stats, owner: CacheOwner | undefined): string | undefined {
  if (!found.isDirectory()) return "it is not a folder: name another path";
  const uid = owner?.uid ?? process.getuid?.();
  if (uid === undefined) return undefined;
  if (found.uid !== uid)
    return `user ${found.uid} owns it: give it to user ${uid}, as which provers run`;
  if ((found.mode & OTHERS_WRITE) === 0) return undefined;
  return `other users may write to it: run 'chmod go-w ${path}'`;
}
