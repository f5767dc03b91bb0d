/**
 * Writes to the process's standard output and error. Each text is written as a whole before `write`
 * returns, so that nothing is lost when the process ends, and one that cannot be written ends the
 * command: a script must not take an empty or cut-off output for a result.
 */
import { writeSync } from "node:fs";
import { codeOf, fileReason } from "../../server/file-reason.js";
import { limits } from "../../server/limits.js";
import { stderrOutput } from "../../server/log-output.js";
import { CommandError, exitCodes } from "./command.js";

/** Milliseconds between two tries to write to a pipe whose reader is slow. */
const RETRY_MS = 5;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Ends the command without a message: who reads its output, such as `head`, has read enough. */
export class ReaderGone extends CommandError {
  constructor(cause: unknown) {
    super("nobody reads the output any more", "keep its reader running", {
      cause,
      exitCode: exitCodes.ok,
    });
  }
}

/** Writes to standard output. Throws `ReaderGone`, or `CommandError` when it cannot be written. */
export function writeOut(text: string, descriptor = 1): void {
  try {
    writeAll(descriptor, text);
  } catch (cause) {
    if (codeOf(cause) === "EPIPE") throw new ReaderGone(cause);
    throw new CommandError(
      `cannot write to standard output: ${fileReason(cause, "/dev/stdout")}`,
      "the output is lost or cut off: write it to another place",
      { cause },
    );
  }
}

/** Writes to standard error. What cannot be written there is lost: it only informs. */
export function writeErr(text: string, descriptor = 2): void {
  try {
    writeAll(descriptor, text);
  } catch {
    // there is no other place to say so
  }
}

/** The same, but a reader that does not read delays it by `limits.logCloseMsMax` at most. */
export function writeErrBounded(text: string): void {
  const output = stderrOutput(() => "");
  output.write(text);
  output.close(limits.logCloseMsMax);
}

/** Throws the system's error. Not by `process.stdout`, which does not look how much was written. */
function writeAll(descriptor: number, text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(descriptor, rest));
    } catch (error) {
      // The pipe does not wait, as another program that has it open set it so.
      if (codeOf(error) !== "EAGAIN") throw error;
      Atomics.wait(sleeper, 0, 0, RETRY_MS);
    }
  }
}
