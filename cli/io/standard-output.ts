/**
 * Writes to the process's standard output. Each text is written as a whole before `write` returns, so
 * that nothing is lost when the process ends, and one that cannot be written ends the command: a
 * script must not take an empty or cut-off output for a result. Where the reader has gone, such as
 * `head`, nobody is misled: the command goes on, and its exit code says what it says with a reader.
 */
import { writeSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { codeOf, fileReason } from "../../server/files/file-reason.js";
import { limits } from "../../server/limits.js";
import { openNonBlocking } from "../../server/log/non-blocking.js";
import { CommandError, exitCodes } from "./command.js";

/** Milliseconds between two tries to write to a pipe whose reader is slow. */
const RETRY_MS = 5;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Ends a command that only prints, and has no end of its own, without a message. */
export class ReaderGone extends CommandError {
  constructor(cause: unknown) {
    super("nobody reads the output any more", "keep its reader running", {
      cause,
      exitCode: exitCodes.ok,
    });
  }
}

/** Drops the text when the reader has gone. Throws `CommandError` when it cannot be written. */
export function writeOut(text: string): void {
  writeAll(1, text, Infinity);
}

/** The same, but throws also when nobody reads for `limits.logCloseMsMax`. */
export function writeOutBounded(text: string): void {
  writeAll(ownStdout(), text, limits.logCloseMsMax);
}

/**
 * Writes, too, but this process can do other things while nobody reads. An abort of `signal` ends
 * the wait; the rest of the text is lost then. Rejects with `ReaderGone` when the reader has gone.
 */
export async function writeOutUntil(text: string, signal: AbortSignal): Promise<void> {
  let rest: Uint8Array = Buffer.from(text);
  while (!signal.aborted) {
    rest = writeSome(ownStdout(), rest);
    if (rest.length === 0) return;
    await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
  }
}

let stdoutFd: number | undefined;
const ownStdout = () => (stdoutFd ??= openNonBlocking(1));

function writeAll(fd: number, text: string, boundMs: number): void {
  let rest: Uint8Array = Buffer.from(text);
  for (let leftMs = boundMs; ; leftMs -= RETRY_MS) {
    try {
      rest = writeSome(fd, rest);
    } catch (error) {
      if (error instanceof ReaderGone) return;
      throw error;
    }
    if (rest.length === 0) return;
    if (leftMs <= 0) throw outputError("nobody reads it");
    Atomics.wait(sleeper, 0, 0, RETRY_MS);
  }
}

/**
 * Writes what can be written now, and returns the rest. Not by `process.stdout`, which does not look
 * how much was written.
 */
function writeSome(fd: number, bytes: Uint8Array): Uint8Array {
  let rest = bytes;
  try {
    while (rest.length > 0) rest = rest.subarray(writeSync(fd, rest));
  } catch (cause) {
    const code = codeOf(cause);
    if (code === "EPIPE") throw new ReaderGone(cause);
    // A blocking pipe fails so, too: another program that has it open may have set it so.
    if (code !== "EAGAIN") throw outputError(fileReason(cause, "/dev/stdout"), cause);
  }
  return rest;
}

function outputError(why: string, cause?: unknown): CommandError {
  return new CommandError(
    `cannot write to standard output: ${why}`,
    "the output is lost or cut off: write it to another place",
    { cause },
  );
}
