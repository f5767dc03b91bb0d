/**
 * The two folders of the service: the runtime folder has the locks of the devices, the state folder
 * what was learned of their speed. Chooses their defaults and makes them.
 */
import { chmodSync, lstatSync, mkdirSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { codeOf, fileReason } from "../../server/files/file-reason.js";
import { CommandError } from "../io/command.js";

const NAME = "lean-aggregator";
/** Folders that the service makes are for its own user. */
const MODE = 0o700;

/** What the defaults depend on. */
export interface FolderFacts {
  env: Readonly<Record<string, string | undefined>>;
  /** Id of this process's user; undefined on a system without user ids. */
  uid: number | undefined;
  /** The system's folder of temporary files. */
  temporaryFolder: string;
}

/** The facts of this process. */
export function folderFacts(env: FolderFacts["env"]): FolderFacts {
  return { env, uid: process.getuid?.(), temporaryFolder: tmpdir() };
}

export interface RuntimeFolder {
  path: string;
  /** True in the system's temporary folder, where another user may have taken the name. */
  mustBeOwn: boolean;
}

/** @param configured the setting `runtimeDir` */
export function runtimeFolderOf(configured: string | undefined, facts: FolderFacts): RuntimeFolder {
  const { env, uid, temporaryFolder } = facts;
  const given = configured ?? firstPathIn(env["RUNTIME_DIRECTORY"]);
  if (given !== undefined) return { path: given, mustBeOwn: false };
  if (uid === 0) return { path: `/run/${NAME}`, mustBeOwn: false };
  const session = absolute(env["XDG_RUNTIME_DIR"]);
  // After `su`, the variable is still that of the user before.
  if (session !== undefined && isFolderOf(uid, session)) {
    return { path: join(session, NAME), mustBeOwn: false };
  }
  return { path: join(resolve(temporaryFolder), `${NAME}-${uid ?? "user"}`), mustBeOwn: true };
}

/** Undefined when this user has no place for state. @param configured the setting `stateDir` */
export function stateFolderOf(
  configured: string | undefined,
  { env, uid }: FolderFacts,
): string | undefined {
  const given = configured ?? firstPathIn(env["STATE_DIRECTORY"]);
  if (given !== undefined) return given;
  if (uid === 0) return `/var/lib/${NAME}`;
  const state = absolute(env["XDG_STATE_HOME"]);
  if (state !== undefined) return join(state, NAME);
  const home = absolute(env["HOME"]);
  return home === undefined ? undefined : join(home, ".local", "state", NAME);
}

/** The first path of systemd's list, whose separator is a colon. */
function firstPathIn(list: string | undefined): string | undefined {
  return absolute(list?.split(":")[0]);
}

/** Undefined for a relative path too, as the XDG specification says. */
function absolute(path: string | undefined): string | undefined {
  return path !== undefined && isAbsolute(path) ? path : undefined;
}

function isFolderOf(uid: number | undefined, path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found !== undefined && found.isDirectory() && found.uid === uid;
}

/** Makes the runtime folder where it is missing. Throws `CommandError` when it cannot be used. */
export function makeRuntimeFolder({ path, mustBeOwn }: RuntimeFolder, uid: number | undefined) {
  try {
    makeFolder(path);
  } catch (cause) {
    const problem = `cannot make the runtime folder ${path}: ${fileReason(cause, path)}`;
    throw new CommandError(problem, RUNTIME_ADVICE, { cause });
  }
  const foreign = mustBeOwn ? foreignReason(path, uid) : undefined;
  if (foreign !== undefined) {
    throw new CommandError(`cannot use the runtime folder ${path}: ${foreign}`, RUNTIME_ADVICE);
  }
  // An earlier umask or user may have opened it to others.
  if (mustBeOwn) chmodSync(path, MODE);
}

export const RUNTIME_ADVICE = "set --runtime-dir to a folder that this user can write to";
export const STATE_ADVICE = "set --state-dir to a folder that this user can write to";

/** Says why a folder in the system's temporary folder cannot be trusted; undefined if it can. */
export function foreignReason(path: string, uid: number | undefined): string | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  if (!found.isDirectory()) return "it is not a folder";
  return uid === undefined || found.uid === uid ? undefined : `user ${found.uid} owns it`;
}

/**
 * Makes the folder and the folders above it where they are missing, for this user only, whatever
 * the umask. Throws the system's error.
 */
export function makeFolder(path: string): void {
  if (isFolder(path)) return;
  try {
    mkdirSync(path, MODE);
  } catch (error) {
    const code = codeOf(error);
    if (code === "EEXIST" && isFolder(path)) return; // another process was faster
    if (code === "EEXIST") throw new Error("it is a file, not a folder", { cause: error });
    // Some file systems, such as /proc, say ENOENT where the folder above is there.
    if (code !== "ENOENT" || isFolder(dirname(path))) throw error;
    makeFolder(dirname(path));
    return makeFolder(path);
  }
  chmodSync(path, MODE);
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
