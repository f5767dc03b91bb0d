/** The file of a Unix socket: whether a new service may replace the file, and who may connect. */
import { chmodSync, chownSync, lstatSync, readFileSync, unlinkSync } from "node:fs";
import { connect } from "node:net";
import { socketPlaceProblem } from "./socket-place.js";

export interface SocketAccess {
  /** Permission bits of the file; a user that may write to it may connect. */
  mode: number;
  /** Group of the file: a name or a number. Default: the process's group. */
  group?: string | undefined;
}

/** Another process listens on a Unix socket. */
export class SocketTakenError extends Error {
  override readonly name = "SocketTakenError";
}

/** Why a Unix socket cannot be made, and what to do. */
export class SocketError extends Error {
  override readonly name = "SocketError";
  constructor(
    readonly why: string,
    readonly todo: string,
    options?: ErrorOptions,
  ) {
    super(`${why}; ${todo}`, options);
  }
}

/** Whether the socket at `path` was left by a process that no longer listens. */
export function isStaleSocket(path: string): Promise<boolean> {
  return new Promise<boolean>((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(false);
    });
    // Any other error, such as a full backlog, means that a service still listens.
    socket.on("error", (error) => resolve("code" in error && error.code === "ECONNREFUSED"));
  });
}

/**
 * Removes a socket file that a dead service left behind. Rejects with
 * `SocketTakenError` when a service still listens on it, and with `SocketError` when the path is not
 * a socket: such a file is never removed.
 */
export async function removeStaleSocket(path: string): Promise<void> {
  const wrong = socketPlaceProblem(path);
  if (wrong !== undefined) throw new SocketError(wrong.why, wrong.todo);
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
  if (!(await isStaleSocket(path))) {
    throw new SocketTakenError(`a process listens on ${path}`);
  }
  try {
    unlinkSync(path);
  } catch (cause) {
    const { uid } = lstatSync(path);
    const what = `user ${uid} owns the socket that a dead service left there`;
    throw new SocketError(what, "remove it, or choose another path", { cause });
  }
}

/** Runs `make` so that only this user may use the files that it makes, until `setAccess`. */
export function underClosedMask(make: () => void): void {
  const before = process.umask(0o177);
  try {
    make();
  } finally {
    process.umask(before);
  }
}

/** Sets the group before the mode: the old group never gets the new mode. Throws `SocketError`. */
export function setAccess(path: string, { mode, group }: SocketAccess): void {
  if (group !== undefined) {
    const id = groupIdOf(group);
    if (id === undefined) throw new SocketError(`/etc/group has no group ${group}`, GIVE_GROUP);
    try {
      chownSync(path, lstatSync(path).uid, id);
    } catch (cause) {
      const what = `its group cannot be set to ${group}`;
      throw new SocketError(what, "use a group that this user is in", { cause });
    }
  }
  chmodSync(path, mode);
}

/** What is wrong with the group of a socket and what to do; undefined if nothing is. */
export function groupProblem(group: string): string | undefined {
  return groupIdOf(group) === undefined ? `/etc/group has no such group; ${GIVE_GROUP}` : undefined;
}

const GIVE_GROUP = "give a group that it has, or a number";

/** The number of a group in /etc/group, or undefined: Node cannot look up others. */
function groupIdOf(group: string): number | undefined {
  if (/^\d{1,10}$/.test(group)) return Number(group);
  const entries = readFileSync("/etc/group", "utf8").split("\n");
  const [, , id] = entries.map((line) => line.split(":")).find(([name]) => name === group) ?? [];
  return id === undefined ? undefined : Number(id);
}
