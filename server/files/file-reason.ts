/** Says in words why the system refused a file or folder. */
import { accessSync, constants, statSync } from "node:fs";
import { dirname } from "node:path";

/** The code of a system error, such as `EACCES`; undefined for another error. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

/**
 * The reason why `path` cannot be used, to follow "cannot read PATH: ". Where the system denied
 * permission, it names whose file or folder that is.
 */
export function fileReason(error: unknown, path: string): string {
  const code = codeOf(error);
  const folder = dirname(path);
  if (code === "ENOENT" && statOf(folder) === undefined)
    return `the folder ${folder} does not exist`;
  const known = code === undefined ? undefined : REASONS[code];
  if (code !== "EACCES" && code !== "EPERM") return known ?? textOf(error);
  const owner = ownerText(path);
  return owner === undefined ? "permission denied" : `permission denied, ${owner}`;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "it does not exist",
  EEXIST: "it exists already",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of the path is a file, not a folder",
  ENOSPC: "the disk is full",
  EFBIG: "it would be larger than files may be (ulimit -f)",
  EDQUOT: "the disk quota is used up",
  EROFS: "the file system is read-only",
  ELOOP: "it is a symbolic link, or its links form a circle",
  ENAMETOOLONG: "the name is too long",
  EIO: "the disk reports an error",
  EBUSY: "it is in use, such as a mount point",
};

/** Shortens `ENXIO: no such device or address, open 'x'` to `no such device or address`. */
function textOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/^[A-Z]+: |, \w+( '.*)?$/gs, "");
}

/**
 * `user 0 owns it`, or `user 0 owns its folder /x`, of the first on the way up that another user
 * owns and this one may not use; undefined without one.
 */
export function ownerText(path: string): string | undefined {
  const uid = process.getuid?.();
  for (let at = path; ; at = dirname(at)) {
    const found = statOf(at);
    if (found !== undefined && found.uid !== uid && !isWritable(at)) {
      return `user ${found.uid} owns ${at === path ? "it" : `the folder ${at}`}`;
    }
    if (found !== undefined && at !== path) return undefined;
    if (dirname(at) === at) return undefined;
  }
}

function statOf(path: string) {
  try {
    return statSync(path);
  } catch {
    return undefined; // missing, or below a folder that may not be looked into
  }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
