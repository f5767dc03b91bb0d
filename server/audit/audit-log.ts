/**
 * The audit record: a file of JSON lines to which one is appended for each session, each skipped
 * snapshot and each act of an operator; of a lane host, for each attempt and each verdict. A call only queues its line; it is written after the call was
 * answered. A file that cannot be written, such as on a full disk, delays no session: lines wait, up to a
 * bound, and lines beyond it are counted. It is opened anew on `reopen`, after it was rotated.
 */
import { closeSync, openSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import type { Clock } from "../clock.js";
import { settledWithin } from "../clock.js";
import { fileReason } from "../files/file-reason.js";
import { limits } from "../limits.js";
import type { Logger } from "../log/log.js";

/** Milliseconds between two tries to write. */
const RETRY_EVERY_MS = 1000;
/** The file is its owner's alone: it names callers. */
const MODE = 0o600;

/** What a line is about. */
export type AuditKind =
  | "start"
  | "stop"
  | "act"
  /** Of a service. */
  | "session"
  | "skip"
  /** Of a lane host. */
  | "attempt"
  | "adopt"
  | "verdict";

/** Where the parts of the service add lines. */
export type AuditTrail = Pick<AuditLog, "add">;

export interface AuditModules {
  clock: Clock;
  log: Logger;
}

export class AuditLog {
  /** Lines not written yet, oldest first; of the first, `writtenBytes` are written. */
  private readonly lines: Buffer[] = [];
  private writtenBytes = 0;
  private pendingBytes = 0;
  /** Lines lost since the last line that says how many. */
  private lost = 0;
  private file: FileHandle | undefined;
  private writing: Promise<void> | undefined;
  private isFailing = false;
  private isClosing = false;
  private retryNow = () => {};
  /** The calls of `reopen` that are not done yet. */
  private readonly reopened: ((isOpen: boolean) => void)[] = [];
  private onLost: () => void = () => undefined;

  /** Makes the file if it is missing. Throws the system's error when it cannot be written. */
  constructor(
    readonly path: string,
    private readonly modules: AuditModules,
  ) {
    closeSync(openSync(path, "a", MODE));
  }

  /** Calls `count` for each line that is lost from now on. */
  countLost(count: () => void): void {
    this.onLost = count;
  }

  /** Queues a line of this kind; one that finds no room is lost, and counted. */
  add(kind: AuditKind, fields: Readonly<Record<string, unknown>>): void {
    if (this.isClosing) return;
    const { lost } = this;
    const before = lost === 0 ? [] : [this.encode("lost", { lines: lost })];
    if (this.push([...before, this.encode(kind, fields)])) {
      this.lost = 0;
    } else {
      this.lost++;
      this.onLost();
    }
    this.writing ??= this.writeAll();
  }

  /**
   * Closes the file and opens it again by its name; lines that are not written yet go to the new one.
   * Resolves with false, and says why in the log, when it cannot be opened, or not within two seconds:
   * then the lines wait.
   */
  async reopen(): Promise<boolean> {
    const { clock, log } = this.modules;
    let isOpen: boolean | undefined;
    const done = new Promise<void>((resolve) => {
      this.reopened.push((is) => {
        isOpen = is;
        resolve();
      });
    });
    this.retryNow();
    this.writing ??= this.writeAll();
    await settledWithin(clock, limits.diskTakeMsMax, done);
    if (isOpen !== undefined) return isOpen;
    log.error({ path: this.path }, "the disk of the audit record does not answer; its lines wait");
    return false;
  }

  /** Writes what waits, for up to two seconds, and closes the file. Never rejects. */
  async close(): Promise<void> {
    const { clock, log } = this.modules;
    this.isClosing = true;
    this.retryNow();
    await settledWithin(clock, limits.diskTakeMsMax, this.finish());
    const lines = this.lines.length;
    if (lines > 0) log.error({ path: this.path, lines }, "lines of the audit record are lost");
  }

  /** Writes what waits, and closes the file. Never rejects. */
  private async finish(): Promise<void> {
    await (this.writing ?? this.writeAll());
    if (this.lost > 0 && this.push([this.encode("lost", { lines: this.lost })])) {
      await this.writeAll();
    }
    await this.file?.close().catch(() => undefined);
    this.file = undefined;
  }

  private encode(kind: AuditKind | "lost", fields: Readonly<Record<string, unknown>>): Buffer {
    const time = new Date(this.modules.clock.unixMs()).toISOString();
    return Buffer.from(`${JSON.stringify({ time, kind, ...fields })}\n`);
  }

  /** Queues all of the lines, or none where they do not fit. */
  private push(lines: readonly Buffer[]): boolean {
    const bytes = lines.reduce((sum, { length }) => sum + length, 0);
    if (this.pendingBytes + bytes > limits.auditPendingBytesMax) return false;
    this.lines.push(...lines);
    this.pendingBytes += bytes;
    return true;
  }

  /** Never rejects. Ends once all is written, and while it closes also after a try that failed. */
  private async writeAll(): Promise<void> {
    // The call is answered first.
    await new Promise(setImmediate);
    while (this.lines.length > 0 || this.reopened.length > 0) {
      try {
        await this.openAgain();
        if (this.lines.length > 0) await this.writeSome();
        this.isFailing = false;
      } catch (error) {
        this.failed(error);
        if (this.isClosing) break;
        await this.untilRetry();
      }
    }
    this.writing = undefined;
  }

  /** Does what `reopen` asked for. Rejects with the system's error when the file cannot be opened. */
  private async openAgain(): Promise<void> {
    const asked = this.reopened.splice(0);
    if (asked.length === 0) return;
    const old = this.file;
    this.file = undefined;
    // A line that is cut in the old file is whole in the new one.
    this.writtenBytes = 0;
    await old?.close().catch(() => undefined);
    try {
      this.file = await open(this.path, "a", MODE);
    } catch (error) {
      for (const resolve of asked) resolve(false);
      throw error;
    }
    for (const resolve of asked) resolve(true);
  }

  private async writeSome(): Promise<void> {
    this.file ??= await open(this.path, "a", MODE);
    const bytes = Buffer.concat(this.lines).subarray(this.writtenBytes);
    const { bytesWritten } = await this.file.write(bytes);
    if (bytesWritten === 0) throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
    this.writtenBytes += bytesWritten;
    for (;;) {
      const length = this.lines[0]?.length ?? Infinity;
      if (length > this.writtenBytes) return;
      this.lines.shift();
      this.pendingBytes -= length;
      this.writtenBytes -= length;
    }
  }

  private untilRetry(): Promise<void> {
    const { clock } = this.modules;
    return new Promise((resolve) => {
      const cancel = clock.at(clock.nowMs() + RETRY_EVERY_MS, resolve);
      this.retryNow = () => {
        cancel();
        resolve();
      };
    });
  }

  private failed(error: unknown): void {
    if (this.isFailing) return;
    this.isFailing = true;
    const { path } = this;
    const line = { path, reason: fileReason(error, path) };
    this.modules.log.error(
      line,
      "cannot write the audit record; its lines wait, the service goes on",
    );
  }
}
