/** The file of `submit --out`: lines of JSON, written as a whole at the end. */
import {
  accessSync,
  closeSync,
  constants,
  openSync,
  realpathSync,
  statSync,
  writeSync,
} from "node:fs";
import type { Stats } from "node:fs";
import { dirname } from "node:path";
import { fileReason } from "../../server/files/file-reason.js";
import { replaceFile } from "../../server/files/write-file.js";
import { CommandError, usageError } from "./command.js";

/** Takes the lines; `close` is called once. */
export interface LinesFile {
  write(line: string): void;
  /** Rejects with `CommandError` when the lines cannot be written. */
  close(): Promise<void>;
}

/**
 * Opens the file of `--out`. Call it before anything is sent, so that a wrong name is reported first.
 * A file keeps its old content, mode and owner until `close` replaces it, through links too. A pipe
 * or device gets each line at once. Throws `CommandError` with exit code 2 for a file that cannot be
 * written.
 */
export function openLinesFile(path: string): LinesFile {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found?.isFile() === false) return new DeviceLines(path, openSync(path, "w"));
    if (found !== undefined) accessSync(path, constants.W_OK);
    const target = found === undefined ? path : realpathSync(path);
    accessSync(dirname(target), constants.W_OK | constants.X_OK);
    return new ReplacedLines(path, target, found);
  } catch (cause) {
    throw usageError(
      `cannot write --out ${path}: ${fileReason(cause, path)}`,
      "name another file",
      cause,
    );
  }
}

class DeviceLines implements LinesFile {
  constructor(
    private readonly path: string,
    private readonly descriptor: number,
  ) {}

  /** Throws `CommandError` when the line cannot be written. */
  write(line: string): void {
    try {
      writeSync(this.descriptor, line);
    } catch (cause) {
      const problem = `cannot write --out ${this.path}: ${fileReason(cause, this.path)}`;
      throw new CommandError(problem, "name another file, and submit again", { cause });
    }
  }

  close(): Promise<void> {
    closeSync(this.descriptor);
    return Promise.resolve();
  }
}

class ReplacedLines implements LinesFile {
  private readonly lines: string[] = [];

  constructor(
    private readonly path: string,
    private readonly target: string,
    private readonly replaced: Stats | undefined,
  ) {}

  write(line: string): void {
    this.lines.push(line);
  }

  async close(): Promise<void> {
    if (this.lines.length === 0) return; // a request that was refused replaces nothing
    const { path, target, replaced } = this;
    const kept =
      replaced === undefined
        ? {}
        : { mode: replaced.mode & 0o777, owner: { uid: replaced.uid, gid: replaced.gid } };
    try {
      await replaceFile(target, this.lines.join(""), kept);
    } catch (cause) {
      const problem = `cannot write --out ${path}: ${fileReason(cause, target)}`;
      throw new CommandError(problem, "its old content is kept: free disk space and submit again", {
        cause,
      });
    }
  }
}
