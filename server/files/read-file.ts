/**
 * Reads a file that a user named, which may be anything: a folder, a pipe, a device without end, or
 * far too large.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { codeOf } from "./file-reason.js";
import { limits } from "../limits.js";

const CHUNK_BYTES = 64 * 1024;
const RETRY_MS = 10;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

export interface ReadOptions {
  /** Most bytes that are accepted. */
  bytesMax: number;
  /** Refuse what is not a regular file: for a file that is polled, as a pipe is read only once. */
  mustBeFile: boolean;
}

/** Reads the whole file. Throws the system's error, or an `Error` that says what is wrong. */
export function readFileWithin(path: string, { bytesMax, mustBeFile }: ReadOptions): Buffer {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const found = fstatSync(fd);
    if (found.isDirectory()) throw new Error("it is a folder");
    if (mustBeFile && !found.isFile()) throw new Error("it is not a regular file");
    const isPipe = found.isFIFO();
    const chunks: Buffer[] = [];
    for (let bytes = 0; ;) {
      const chunk = Buffer.alloc(CHUNK_BYTES);
      // The first that opens a pipe waits for the other end.
      const read = readWaiting(fd, chunk, isPipe && bytes === 0);
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

/** Waits for data. @param needsWriter whether 0 bytes mean that nobody has opened the pipe yet */
function readWaiting(fd: number, chunk: Buffer, needsWriter: boolean): number {
  for (let leftMs = limits.pipeReadMsMax; leftMs > 0; leftMs -= RETRY_MS) {
    try {
      const read = readSync(fd, chunk);
      if (read > 0 || !needsWriter) return read;
    } catch (error) {
      if (codeOf(error) !== "EAGAIN") throw error;
    }
    Atomics.wait(sleeper, 0, 0, RETRY_MS);
  }
  throw new Error(`nobody wrote to it for ${limits.pipeReadMsMax / 1000} s`);
}
