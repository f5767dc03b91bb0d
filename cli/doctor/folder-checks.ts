/** `doctor`'s checks of the service's folders. They look only: no folder or file is made. */
import { accessSync, constants, statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { fileReason } from "../../server/files/file-reason.js";
import type { RuntimeFolder } from "../run/folders.js";
import { foreignReason, RUNTIME_ADVICE, STATE_ADVICE } from "../run/folders.js";
import type { Finding } from "./finding.js";
import { fail, ok, warn } from "./finding.js";

/** Free space below which a folder counts as full, in bytes: one file of learned costs. */
const BYTES_FREE_MIN = 8192;

/** Fails if the service could not lock its devices there. */
export function checkRuntimeFolder(
  { path, mustBeOwn }: RuntimeFolder,
  uid: number | undefined,
): Finding {
  const reason = (mustBeOwn ? foreignReason(path, uid) : undefined) ?? unusableReason(path);
  if (reason !== undefined) return fail(`${path}: ${reason}: ${RUNTIME_ADVICE}`);
  if (isFull(path, uid)) return warn(`${path}: the disk is full: free disk space`);
  return ok(`${path}: services with the same folder share the locks of the devices`);
}

/** Warns if learned costs would be kept in memory only, with which the service works too. */
export function checkStateFolder(path: string | undefined, uid: number | undefined): Finding {
  const so = "every start calibrates again and has another service id";
  if (path === undefined) return warn(`this user has no home folder, so ${so}: ${STATE_ADVICE}`);
  const reason = unusableReason(path);
  if (reason !== undefined) return warn(`${path}: ${reason}, so ${so}: ${STATE_ADVICE}`);
  if (isFull(path, uid)) return warn(`${path}: the disk is full, so ${so}: free disk space`);
  return ok(path);
}

/** Fails if the service could not record there, as it would not start; warns of too small a disk. */
export function checkRecordFolder(path: string, megabytes: number): Finding {
  const reason = unusableReason(path);
  if (reason !== undefined) return fail(`${path}: ${reason}: name another folder in --record`);
  const { bsize, bavail } = statfsSync(nearest(path).at);
  const freeMb = Math.floor((bsize * bavail) / 1_000_000);
  if (freeMb >= megabytes) return ok(`${path}: at most ${megabytes} MB`);
  return warn(`${path}: ${freeMb} MB are free, and a recording has up to ${megabytes}: free some`);
}

/** Fails if the service could not keep calls there in which provers died, as it would not start. */
export function checkFatalFolder(path: string): Finding {
  const reason = unusableReason(path);
  if (reason !== undefined) return fail(`${path}: ${reason}: name another folder in --keep-fatal`);
  return ok(`${path}: calls in which provers died`);
}

/** Why no file can be made in the folder, or the folder cannot be made; undefined if it can. */
function unusableReason(path: string): string | undefined {
  try {
    const { at, isFolder } = nearest(path);
    if (!isFolder) return at === path ? "it is a file, not a folder" : `${at} is a file`;
    accessSync(at, constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    return fileReason(error, path);
  }
}

/** The folder, or what exists of it. Throws the system's error where it cannot be looked at. */
function nearest(path: string): { at: string; isFolder: boolean } {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found !== undefined) return { at: path, isFolder: found.isDirectory() };
  return nearest(dirname(path));
}

function isFull(path: string, uid: number | undefined): boolean {
  const { bsize, bavail, bfree, files, ffree } = statfsSync(nearest(path).at);
  const blocks = uid === 0 ? bfree : bavail; // some are kept for root
  return blocks * bsize < BYTES_FREE_MIN || (files > 0 && ffree === 0);
}
