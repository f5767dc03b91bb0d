/**
 * Writes log lines without ever waiting or failing. While the log cannot be written (nobody reads
 * the pipe, the terminal is stopped, the disk is full) it keeps the latest lines and tries again.
 * Older lines are dropped and counted, and one line says so once writing works again.
 */
import { writeSync } from "node:fs";
import { limits } from "../limits.js";
import { openNonBlocking } from "./non-blocking.js";

/** Between two tries: a pipe of 64 KiB then takes up to 640 KiB of lines a second. */
const RETRY_EVERY_MS = 100;
/** Between two tries at exit, when the process does nothing else. */
const RETRY_AT_EXIT_MS = 5;

export interface LogOutputModules {
  /** Writes as many of the bytes as it can, and returns how many. Throws when it can write none. */
  write(bytes: Uint8Array): number;
  /** The line that says how many lines were dropped. */
  droppedLine(count: number): string;
  /** Calls `callback` once, after `ms`. */
  later(ms: number, callback: () => void): void;
}

export class LogOutput {
  /** Lines not written yet, oldest first; of the first, `writtenBytes` are written. */
  private readonly lines: Buffer[] = [];
  private writtenBytes = 0;
  private heldBytes = 0;
  /** Lines dropped since the last line that said so. */
  private unreported = 0;
  private droppedTotal = 0;
  private isRetrying = false;
  private countDropped: ((count: number) => void) | undefined;

  constructor(private readonly modules: LogOutputModules) {}

  /** Takes a line with its newline. An empty text writes nothing: zero bytes written mean a full pipe. */
  write(line: string): void {
    if (line === "") return;
    const bytes = Buffer.from(line);
    this.lines.push(bytes);
    this.heldBytes += bytes.length;
    if (!this.isRetrying && this.flush() !== undefined) this.retryLater();
    this.dropOldest();
  }

  /** Calls `count` with the number of lines dropped so far, and then with each further number. */
  onDropped(count: (lines: number) => void): void {
    this.countDropped = count;
    if (this.droppedTotal > 0) count(this.droppedTotal);
  }

  /** For the exit: waits up to `boundMs` for a reader that is only slow. Blocks the process. */
  close(boundMs: number): void {
    const flag = new Int32Array(new SharedArrayBuffer(4));
    for (let leftMs = boundMs; ; leftMs -= RETRY_AT_EXIT_MS) {
      if (this.flush() !== "EAGAIN" || leftMs <= 0) return;
      Atomics.wait(flag, 0, 0, RETRY_AT_EXIT_MS);
    }
  }

  /** Writes what can be written. Returns undefined when that is everything, else the error code. */
  private flush(): string | undefined {
    for (;;) {
      // In the place of the dropped lines, but not in the middle of a line.
      const isReport = this.unreported > 0 && this.writtenBytes === 0;
      const line = isReport ? this.droppedLine() : this.lines[0];
      if (line === undefined) return undefined;
      let count: number;
      try {
        count = this.modules.write(line.subarray(this.writtenBytes));
      } catch (error) {
        return codeOf(error);
      }
      if (count === 0) return "EAGAIN";
      if (isReport) this.putFirst(line);
      this.writtenBytes += count;
      if (this.writtenBytes === line.length) this.removeFirst(line);
    }
  }

  private droppedLine(): Buffer {
    return Buffer.from(this.modules.droppedLine(this.unreported));
  }

  private putFirst(report: Buffer): void {
    this.unreported = 0;
    this.lines.unshift(report);
    this.heldBytes += report.length;
  }

  private removeFirst(line: Buffer): void {
    this.lines.shift();
    this.heldBytes -= line.length;
    this.writtenBytes = 0;
  }

  private dropOldest(): void {
    // A line of which a part is written stays, so that no line is cut in the middle.
    const at = this.writtenBytes > 0 ? 1 : 0;
    const before = this.unreported;
    while (this.heldBytes > limits.logBufferBytesMax && this.lines.length > at) {
      this.heldBytes -= this.lines.splice(at, 1)[0]?.length ?? 0;
      this.unreported++;
    }
    const count = this.unreported - before;
    this.droppedTotal += count;
    if (count > 0) this.countDropped?.(count);
  }

  private retryLater(): void {
    this.isRetrying = true;
    this.modules.later(RETRY_EVERY_MS, () => {
      this.isRetrying = false;
      if (this.flush() !== undefined) this.retryLater();
    });
  }
}

/** The log's output on standard error, which is opened at the first line. */
export function stderrOutput(droppedLine: (count: number) => string): LogOutput {
  let fd: number | undefined;
  return new LogOutput({
    write: (bytes) => writeSync((fd ??= openNonBlocking(2)), bytes),
    droppedLine,
    later: (ms, callback) => void setTimeout(callback, ms).unref(),
  });
}

/** The code of a failed write, such as `ENOSPC`. */
function codeOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "EIO";
}
