/** The file of a Unix socket: whether a new service may replace the file, and who may connect. */
import { chmodSync, chownSync, lstatSync, readFileSync, unlinkSync } from "node:fs";
import { connect } from "node:net";

export interface SocketAccess {
  /** Permission bits of the file; a user that may write to it may connect. */
  mode: number;
  /** Group of the file: a name or a number. Default: the process's group. */
  group?: string | undefined;
}

/**
 * Removes a socket file that a dead service left behind. Rejects when a service still listens on it,
 * or the path is not a socket.
 */
export async function removeStaleSocket(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket())
    throw new Error(`${path} exists and is not a socket: remove it, or choose another path`);
  const isStale = await new Promise<boolean>((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(false);
    });
    // Any other error, such as a full backlog, means that a service still listens.
    socket.on("error", (error) => resolve("code" in error && error.code === "ECONNREFUSED"));
  });
  if (!isStale)
    throw new Error(`another service listens on ${path}: stop it, or choose another path`);
  unlinkSync(path);
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

/** Sets the group before the mode: the old group never gets the new mode. Throws on failure. */
export function setAccess(path: string, { mode, group }: SocketAccess): void {
  if (group !== undefined) chownSync(path, lstatSync(path).uid, groupIdOf(group));
  chmodSync(path, mode);
}

/** The number of a group in /etc/group: Node cannot look up others. Throws when it is not there. */
function groupIdOf(group: string): number {
  if (/^\d+$/.test(group)) return Number(group);
  const entries = readFileSync("/etc/group", "utf8").split("\n");
  const [, , id] = entries.map((line) => line.split(":")).find(([name]) => name === group) ?? [];
  if (id === undefined) throw new Error(`/etc/group has no group ${group}: give its number`);
  return Number(id);
}
