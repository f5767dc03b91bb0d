/** Whether a Unix socket can be made at a path, as far as its folder and what is there now tell. */
import { accessSync, constants, lstatSync, statSync } from "node:fs";
import type { Stats } from "node:fs";
import { dirname } from "node:path";

/** What is wrong with the place of a new socket, and what to do. */
export interface PlaceProblem {
  why: string;
  todo: string;
}

const ANOTHER = "choose another path";

/** Returns what is wrong with the place of a new socket; undefined if nothing is. */
export function socketPlaceProblem(path: string): PlaceProblem | undefined {
  const folder = dirname(path);
  try {
    if (!statSync(folder).isDirectory()) return { why: `${folder} is not a folder`, todo: ANOTHER };
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found !== undefined && !found.isSocket()) {
      const why = `${path} is ${kindOf(found)}, not a socket`;
      return { why, todo: `remove it, or ${ANOTHER}` };
    }
    accessSync(folder, constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    return folderProblem(folder, error);
  }
}

/** The words for a folder that cannot be used, by the error's code. */
export function folderProblem(folder: string, error: unknown): PlaceProblem {
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
  const [why = `cannot be used (${code})`, todo = ANOTHER] = FOLDER_PROBLEMS[code] ?? [];
  return { why: `the folder ${folder} ${why}`, todo };
}

const NOT_WRITABLE = [
  "is not writable for this user",
  `change its permissions, or ${ANOTHER}`,
] as const;
const FOLDER_PROBLEMS: Readonly<Record<string, readonly [why: string, todo: string]>> = {
  ENOENT: ["does not exist", `create it, or ${ANOTHER}`],
  ENOTDIR: ["does not exist, as a part of its path is a file", ANOTHER],
  EACCES: NOT_WRITABLE,
  EPERM: NOT_WRITABLE,
  EROFS: ["is on a read-only file system", ANOTHER],
};

function kindOf(found: Stats): string {
  if (found.isDirectory()) return "a folder";
  if (found.isSymbolicLink()) return "a symbolic link";
  return found.isFile() ? "a file" : "a device or pipe";
}
