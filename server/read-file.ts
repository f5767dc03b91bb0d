/**
 * Reads a file that a user named, which may be anything: a folder, a pipe, a device without end, or
 * far too large.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";

const CHUNK_BYTES = 64 * 1024;

export interface ReadOptions {
  /** Most bytes that are accepted. */
  bytesMax: number;
  /** Refuse what is not a regular file: for a file that is polled, as a pipe would block for ever. */
  mustBeFile: boolean;
}

/** Reads the whole file. Throws the system's error, or an `Error` that says what is wrong. */
export function readFileWithin(path: string, { bytesMax, mustBeFile }: ReadOptions): Buffer {
  const fd = openSync(path, constants.O_RDONLY | (mustBeFile ? constants.O_NONBLOCK : 0));
  try {
    const found = fstatSync(fd);
    if (found.isDirectory()) throw new Error("it is a folder");
    if (mustBeFile && !found.isFile()) throw new Error("it is not a regular file");
    const chunks: Buffer[] = [];
    for (let bytes = 0; ;) {
      const chunk = Buffer.alloc(CHUNK_BYTES);
      const read = readSync(fd, chunk);
      if (read === 0) return Buffer.concat(chunks);
      bytes += read;
      // Looked at while it is read: a device has no size, and a file may grow.
      if (bytes > bytesMax) throw new Error(`it has more than ${bytesMax} bytes`);
      chunks.push(chunk.subarray(0, read));
    }
  } finally {
    closeSync(fd);
  }
}
