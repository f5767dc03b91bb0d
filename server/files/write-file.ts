/**
 * Writes files whole: a reader, or the next start after a crash or a power cut, finds the old content
 * or the new, never a part. Not by the package write-file-atomic: on a disk with little space left,
 * its 7.0.1 renames a cut-off file into place and reports success, as it does not look at how much
 * was written.
 */
import { link, open, rename, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";

/** The numbers of the files that are being written. */
const writing = new Set<number>();

export interface WriteOptions {
  /** Permission bits, whatever the umask. Default: 0666 less the umask. */
  mode?: number;
  /** Owner and group of the file, set where this process may. Default: those of this process. */
  owner?: { uid: number; gid: number };
}

/**
 * Replaces the file or makes it; a link is replaced, not followed. Rejects with the system's error,
 * and then the old content is still there and nothing lies beside it.
 */
export function replaceFile(
  path: string,
  content: string | Uint8Array,
  options: WriteOptions = {},
): Promise<void> {
  return throughTemporary(path, content, options, (temporary) => rename(temporary, path));
}

/** Makes a new file. Rejects as `replaceFile` does, and with `EEXIST` when anything has the name. */
export function createFile(
  path: string,
  content: string | Uint8Array,
  options: WriteOptions = {},
): Promise<void> {
  return throughTemporary(path, content, options, (temporary) => link(temporary, path));
}

async function throughTemporary(
  path: string,
  content: string | Uint8Array,
  { mode, owner }: WriteOptions,
  publish: (temporary: string) => Promise<void>,
): Promise<void> {
  const folder = dirname(path);
  const nth = firstFree();
  writing.add(nth);
  // Of this process alone, also where containers, of which each has pid 1, share the folder. The name comes
  // again when a killed process left its file behind and the pid comes back.
  const name = `.lean-aggregator-${hostname()}-${process.pid}-${nth}.new`;
  const temporary = join(folder, name);
  await rm(temporary, { force: true });
  try {
    // "wx" never writes through a link that another user put there.
    const file = await open(temporary, "wx", mode);
    try {
      if (owner !== undefined) await file.chown(owner.uid, owner.gid).catch(() => undefined);
      if (mode !== undefined) await file.chmod(mode);
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await publish(temporary);
  } finally {
    await rm(temporary, { force: true }).finally(() => writing.delete(nth));
  }
  await syncFolder(folder);
}

function firstFree(): number {
  let nth = 0;
  while (writing.has(nth)) nth++;
  return nth;
}

/** Keeps the new name through a power cut, where the file system can. Never rejects. */
async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, "r");
    await folder.sync().finally(() => folder.close());
  } catch {
    // the content is safe, and the name as safe as this file system makes it
  }
}
